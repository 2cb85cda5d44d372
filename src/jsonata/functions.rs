//! The functions that there are: the reference implementation's, but for `$eval`, and those of Step Functions.

mod arguments;
mod arrays;
mod aws;
mod higher;
mod matching;
mod numbers;
mod objects;
mod strings;
mod times;
mod urls;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::signature::Signature;
use super::value::{Builtin, Run};

/// Name, signature, arity, and what it does.
const TABLE: [(&str, &str, usize, Run); 69] = [
    ("sum", "<a<n>:n>", 1, numbers::sum),
    ("count", "<a:n>", 1, arrays::count),
    ("max", "<a<n>:n>", 1, numbers::max),
    ("min", "<a<n>:n>", 1, numbers::min),
    ("average", "<a<n>:n>", 1, numbers::average),
    ("string", "<x-b?:s>", 1, strings::string),
    ("substring", "<s-nn?:s>", 3, strings::substring),
    ("substringBefore", "<s-s:s>", 2, strings::substring_before),
    ("substringAfter", "<s-s:s>", 2, strings::substring_after),
    ("lowercase", "<s-:s>", 1, strings::lowercase),
    ("uppercase", "<s-:s>", 1, strings::uppercase),
    ("length", "<s-:n>", 1, strings::length),
    ("trim", "<s-:s>", 1, strings::trim),
    ("pad", "<s-ns?:s>", 3, strings::pad),
    ("match", "<s-f<s:o>n?:a<o>>", 3, matching::find),
    ("contains", "<s-(sf):b>", 2, matching::contains),
    ("replace", "<s-(sf)(sf)n?:s>", 4, matching::replace),
    ("split", "<s-(sf)n?:a<s>>", 3, matching::split),
    ("join", "<a<s>s?:s>", 2, strings::join),
    ("formatNumber", "<n-so?:s>", 3, numbers::format_number),
    ("formatBase", "<n-n?:s>", 2, numbers::format_base),
    ("formatInteger", "<n-s:s>", 2, numbers::format_integer),
    ("parseInteger", "<s-s:n>", 2, numbers::parse_integer),
    ("number", "<(nsb)-:n>", 1, numbers::number),
    ("floor", "<n-:n>", 1, numbers::floor),
    ("ceil", "<n-:n>", 1, numbers::ceil),
    ("round", "<n-n?:n>", 2, numbers::round),
    ("abs", "<n-:n>", 1, numbers::abs),
    ("sqrt", "<n-:n>", 1, numbers::sqrt),
    ("power", "<n-n:n>", 2, numbers::power),
    ("random", "<n?:n>", 0, aws::random),
    ("boolean", "<x-:b>", 1, objects::boolean),
    ("not", "<x-:b>", 1, objects::not),
    ("map", "<af>", 2, higher::map),
    ("zip", "<a+>", 0, arrays::zip),
    ("filter", "<af>", 2, higher::filter),
    ("single", "<af?>", 2, higher::single),
    ("reduce", "<afj?:j>", 3, higher::reduce),
    ("sift", "<o-f?:o>", 2, higher::sift),
    ("keys", "<x-:a<s>>", 1, objects::keys),
    ("lookup", "<x-s:x>", 2, objects::lookup),
    ("append", "<xx:a>", 2, arrays::append),
    ("exists", "<x:b>", 1, objects::exists),
    ("spread", "<x-:a<o>>", 1, objects::spread),
    ("merge", "<a<o>:o>", 1, objects::merge),
    ("reverse", "<a:a>", 1, arrays::reverse),
    ("each", "<o-f:a>", 2, higher::each),
    ("error", "<s?:x>", 1, objects::error),
    ("assert", "<bs?:x>", 2, objects::assert),
    ("type", "<x:s>", 1, objects::type_of),
    ("sort", "<af?:a>", 2, higher::sort),
    ("shuffle", "<a:a>", 1, arrays::shuffle),
    ("distinct", "<x:x>", 1, arrays::distinct),
    ("base64encode", "<s-:s>", 1, urls::base64_encode),
    ("base64decode", "<s-:s>", 1, urls::base64_decode),
    ("encodeUrlComponent", "<s-:s>", 1, urls::encode_component),
    ("encodeUrl", "<s-:s>", 1, urls::encode),
    ("decodeUrlComponent", "<s-:s>", 1, urls::decode_component),
    ("decodeUrl", "<s-:s>", 1, urls::decode),
    ("toMillis", "<s-s?:n>", 2, times::to_millis),
    ("fromMillis", "<n-s?s?:s>", 3, times::from_millis),
    ("now", "<s?s?:s>", 2, times::now),
    ("millis", "<:n>", 0, times::millis),
    ("clone", "<(oa)-:o>", 1, objects::clone),
    ("partition", "<a-n:a>", 2, aws::partition),
    ("range", "<nnn:a>", 3, aws::range),
    ("hash", "<s-s:s>", 2, aws::hash),
    ("uuid", "<:s>", 0, aws::uuid),
    ("parse", "<s-:x>", 1, aws::parse),
];

static BUILTINS: LazyLock<HashMap<&'static str, Builtin>> = LazyLock::new(|| {
    let builtin = |(name, signature, arity, run): (&'static str, &str, usize, Run)| {
        // A test holds that each of them is read.
        let signature = Signature::parse(signature).ok()?;
        Some((name, Builtin { name, signature, arity, run }))
    };
    TABLE.into_iter().filter_map(builtin).collect()
});

/// The function of this name, without its sign.
pub(super) fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::grammar::jsonata::is_function;

    #[test]
    fn the_linter_and_the_evaluator_know_the_same_functions() {
        assert_eq!(BUILTINS.len(), TABLE.len());
        assert!(TABLE.iter().all(|(name, ..)| is_function(name)));
        assert!(builtin("eval").is_none());
    }
}
