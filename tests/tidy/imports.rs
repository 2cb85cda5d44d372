//! Which file imports which, read from the text: `use` items and paths that go through a module, each followed to the file that
//! defines what it names. What is re-exported is followed to where it is; a `mod` and a `pub use` by themselves import nothing.
//! Unit tests may import anything.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// Files that import each other, each circle once and as short as it is.
pub fn circles(files: &BTreeMap<String, String>) -> BTreeSet<Vec<String>> {
    let imports = imports(files);
    let mut circles = BTreeSet::new();
    for (from, imported) in &imports {
        for to in imported {
            let Some(mut circle) = way(&imports, to, from) else { continue };
            let first = (0..circle.len()).min_by_key(|index| &circle[*index]).unwrap_or_default();
            circle.rotate_left(first);
            circles.insert(circle);
        }
    }
    circles
}

/// The shortest way from one file to another by what they import.
fn way(imports: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut reached: HashMap<&str, &str> = HashMap::new();
    let mut open = VecDeque::from([from]);
    while let Some(file) = open.pop_front() {
        if file == to {
            let mut way = vec![to.to_owned()];
            let mut at = to;
            while at != from {
                at = reached[at];
                way.push(at.to_owned());
            }
            way.reverse();
            return Some(way);
        }
        for next in imports.get(file).into_iter().flatten() {
            if next != from && !reached.contains_key(next.as_str()) {
                reached.insert(next, file);
                open.push_back(next);
            }
        }
    }
    None
}

/// What each file imports, by files.
pub fn imports(files: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut tree = Tree { files, modules: Vec::new() };
    tree.file("src/lib.rs", "src", 0);
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (index, module) in tree.modules.iter().enumerate() {
        let mut found = BTreeSet::new();
        for path in &module.paths {
            found.extend(tree.resolve(index, path, &mut HashSet::new()));
        }
        for (name, path) in &module.uses {
            // What is only handed on is imported by whoever takes it.
            if !module.handed_on.contains(name) || module.words.contains(name) {
                found.extend(tree.resolve(index, path, &mut HashSet::new()));
            }
        }
        for path in &module.globs {
            for target in tree.resolve(index, path, &mut HashSet::new()) {
                match target {
                    Target::Module(of) => {
                        let named = module.words.iter();
                        found.extend(named.flat_map(|word| tree.named(of, word, &mut HashSet::new())));
                    }
                    item @ Target::Item(_) => drop(found.insert(item)),
                }
            }
        }
        let others = found.into_iter().filter_map(|target| match target {
            Target::Item(file) if file != module.file => Some(file),
            _ => None,
        });
        imports.entry(module.file.clone()).or_default().extend(others);
    }
    imports
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(usize),
    /// Something that is defined in this file.
    Item(String),
}

#[derive(Default)]
struct Module {
    file: String,
    parent: usize,
    modules: HashMap<String, usize>,
    items: HashSet<String>,
    /// Names that a `use` brings, and the paths to them.
    uses: Vec<(String, Vec<String>)>,
    globs: Vec<Vec<String>>,
    /// Names that a `pub use` hands on.
    handed_on: HashSet<String>,
    /// Paths of more than one part, outside of `use`.
    paths: Vec<Vec<String>>,
    /// All other words.
    words: HashSet<String>,
}

struct Tree<'a> {
    files: &'a BTreeMap<String, String>,
    modules: Vec<Module>,
}

impl Tree<'_> {
    fn file(&mut self, file: &str, folder: &str, parent: usize) -> usize {
        let text = self.files.get(file).map(String::as_str).unwrap_or_default();
        self.module(&mut Tokens { tokens: tokens(text), at: 0 }, file, folder, parent)
    }

    /// Reads a module to its end.
    fn module(&mut self, tokens: &mut Tokens<'_>, file: &str, folder: &str, parent: usize) -> usize {
        let index = self.modules.len();
        self.modules.push(Module { file: file.to_owned(), parent, ..Module::default() });
        let mut depth = 0_usize;
        while let Some(token) = tokens.next() {
            let following = tokens.peek(0);
            match token {
                "#" => tokens.attribute(),
                "{" => depth += 1,
                "}" if depth == 0 => break,
                "}" => depth -= 1,
                "mod" if is_word(following) && matches!(tokens.peek(1), ";" | "{") => {
                    let child = self.child(tokens, file, folder, index);
                    self.modules[index].modules.insert(following.to_owned(), child);
                }
                // `use<…>` says what a type captures.
                "use" if following != "<" => {
                    let hands_on = matches!(tokens.before(), "pub" | ")");
                    tokens.use_tree(&mut Vec::new(), &mut self.modules[index], hands_on);
                }
                "struct" | "enum" | "trait" | "type" | "fn" | "const" | "static" | "union"
                    if depth == 0 && is_word(following) =>
                {
                    self.modules[index].items.insert(following.to_owned());
                }
                "macro_rules" => drop(self.modules[index].items.insert(tokens.peek(1).to_owned())),
                word if is_word(word) => {
                    let path = tokens.path(word);
                    let module = &mut self.modules[index];
                    if path.len() > 1 {
                        module.paths.push(path);
                    } else {
                        module.words.insert(word.to_owned());
                    }
                }
                _ => {}
            }
        }
        index
    }

    /// Reads `name;` or `name { … }`.
    fn child(&mut self, tokens: &mut Tokens<'_>, file: &str, folder: &str, parent: usize) -> usize {
        let name = tokens.next().unwrap_or_default();
        let below = format!("{folder}/{name}");
        if tokens.next() == Some("{") {
            return self.module(tokens, file, &below, parent);
        }
        let beside = format!("{below}.rs");
        let file = if self.files.contains_key(&beside) { beside } else { format!("{below}/mod.rs") };
        self.file(&file, &below, parent)
    }

    /// What a name stands for in a module.
    fn named(&self, module: usize, name: &str, seen: &mut HashSet<(usize, Vec<String>)>) -> BTreeSet<Target> {
        let here = &self.modules[module];
        let mut found = BTreeSet::new();
        let asked = (module, vec!["*".to_owned(), name.to_owned()]);
        if !seen.insert(asked.clone()) {
            return found;
        }
        if let Some(child) = here.modules.get(name) {
            found.insert(Target::Module(*child));
        }
        if here.items.contains(name) {
            found.insert(Target::Item(here.file.clone()));
        }
        for (_, path) in here.uses.iter().filter(|(own, _)| own == name) {
            found.extend(self.resolve(module, path, seen));
        }
        if found.is_empty() {
            for path in &here.globs {
                for target in self.resolve(module, path, seen) {
                    if let Target::Module(of) = target {
                        found.extend(self.named(of, name, seen));
                    }
                }
            }
        }
        seen.remove(&asked);
        found
    }

    /// What a path stands for in a module; nothing where it leads out of the crate.
    fn resolve(&self, module: usize, path: &[String], seen: &mut HashSet<(usize, Vec<String>)>) -> BTreeSet<Target> {
        if !seen.insert((module, path.to_vec())) {
            return BTreeSet::new();
        }
        let mut at = BTreeSet::from([Target::Module(module)]);
        for (part, name) in path.iter().enumerate() {
            let mut next = BTreeSet::new();
            for target in at {
                let Target::Module(of) = target else {
                    next.insert(target);
                    continue;
                };
                match name.as_str() {
                    "crate" => drop(next.insert(Target::Module(0))),
                    "self" => drop(next.insert(Target::Module(of))),
                    "super" => drop(next.insert(Target::Module(self.modules[of].parent))),
                    name => {
                        let found = self.named(of, name, seen);
                        if found.is_empty() && part > 0 && !self.brings(of, name) {
                            // A macro has made it there: the kinds of Kubernetes, for example.
                            next.insert(Target::Item(self.modules[of].file.clone()));
                        }
                        next.extend(found);
                    }
                }
            }
            // A function may have the name of a module, and no path goes through it.
            let goes_on = part + 1 < path.len() && next.iter().any(|target| matches!(target, Target::Module(_)));
            at = next.into_iter().filter(|target| !goes_on || matches!(target, Target::Module(_))).collect();
        }
        seen.remove(&(module, path.to_vec()));
        at
    }

    fn brings(&self, module: usize, name: &str) -> bool {
        self.modules[module].uses.iter().any(|(own, _)| own == name)
    }
}

/// What an item begins with. A comma ends none.
const ITEMS: [&str; 15] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "use",
];

struct Tokens<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.at += 1;
        self.tokens.get(self.at - 1).copied()
    }

    fn peek(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).copied().unwrap_or_default()
    }

    /// The token before the one that was read last.
    fn before(&self) -> &'a str {
        self.at.checked_sub(2).and_then(|before| self.tokens.get(before)).copied().unwrap_or_default()
    }

    /// Passes over an attribute, and over the item behind it where that is for unit tests alone.
    fn attribute(&mut self) {
        let from = self.at;
        self.pass(&["]"]);
        let words = &self.tokens[from..self.at.min(self.tokens.len())];
        if words.starts_with(&["[", "cfg"]) && words.contains(&"test") && !words.contains(&"not") {
            while self.peek(0) == "#" {
                self.at += 1;
                self.pass(&["]"]);
            }
            let is_item = ITEMS.contains(&self.peek(0));
            self.pass(if is_item { &["}", ";"] } else { &["}", ";", ","] });
        }
    }

    /// Passes over everything to the end of what stands in brackets, or to a sign outside of any.
    fn pass(&mut self, ends: &[&str]) {
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            match token {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && ends.contains(&token) {
                return;
            }
        }
    }

    /// The path that begins with a word.
    fn path(&mut self, first: &str) -> Vec<String> {
        let mut path = vec![first.to_owned()];
        while self.peek(0) == "::" && is_word(self.peek(1)) {
            path.push(self.peek(1).to_owned());
            self.at += 2;
        }
        path
    }

    /// Reads the names of a `use`, nested ones too.
    fn use_tree(&mut self, before: &mut Vec<String>, module: &mut Module, hands_on: bool) {
        let length = before.len();
        while let Some(token) = self.next() {
            match token {
                "::" => continue,
                "{" => {
                    while self.peek(0) != "}" {
                        self.use_tree(before, module, hands_on);
                        if self.peek(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                "*" => {
                    module.globs.push(before.clone());
                    break;
                }
                "self" if !before.is_empty() => {}
                name => before.push(name.to_owned()),
            }
            if self.peek(0) != "::" {
                let mut name = before.last().cloned().unwrap_or_default();
                if self.peek(0) == "as" {
                    self.peek(1).clone_into(&mut name);
                    self.at += 2;
                }
                if hands_on {
                    module.handed_on.insert(name.clone());
                }
                module.uses.push((name, before.clone()));
                break;
            }
        }
        before.truncate(length);
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// The tokens of a text without comments, texts, characters and lifetimes.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = quoted(rest) {
            length
        } else {
            let word = rest.find(|one: char| !one.is_ascii_alphanumeric() && one != '_').unwrap_or(rest.len());
            let length = if word > 0 {
                word
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                tokens.push(&rest[..length]);
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// How long a text, a character or a lifetime is that stands here.
fn quoted(rest: &str) -> Option<usize> {
    if let Some(lifetime) = rest.strip_prefix('\'') {
        let mut letters = lifetime.char_indices();
        let (_, first) = letters.next()?;
        let (second, closes) = letters.next().map_or((0, false), |(at, letter)| (at, letter == '\''));
        return Some(match first {
            // What is escaped may be a quote.
            '\\' => 1 + 2 + lifetime.get(2..)?.find('\'')? + 1,
            _ if closes => 1 + second + 1,
            _ => 1 + lifetime.find(|one: char| !one.is_ascii_alphanumeric() && one != '_').unwrap_or(lifetime.len()),
        });
    }
    let after = rest.strip_prefix('b').unwrap_or(rest);
    if let Some(raw) = after.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let text = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(rest.len() - text.len() + text.find(&end)? + end.len());
    }
    let text = after.strip_prefix('"')?;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => return Some(rest.len() - text.len() + at + 1),
            letter => escaped = letter == '\\' && !escaped,
        }
    }
    None
}
