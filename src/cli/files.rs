//! Files and standard input as text. Manifests, definitions and policies are UTF-8; what is something else is told as what it is, with
//! how to convert it.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// Texts under names that are no files: `workflow/fulfil` of the cluster, which `kubectl sfn` has read before.
static KNOWN: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());

/// From now on a read of the path gives this text.
#[cfg(feature = "kubectl")]
pub(crate) fn know(path: &Path, text: String) {
    KNOWN.lock().insert(path.to_owned(), text);
}

/// All of a file, or of standard input for `-`.
///
/// # Errors
/// When it cannot be read, or is no text in UTF-8.
pub(crate) fn read(path: &Path) -> Result<String> {
    if let Some(text) = KNOWN.lock().get(path) {
        return Ok(text.clone());
    }
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        return text(bytes);
    }
    if path.is_dir() {
        return Err(Error::new(ErrorKind::IsADirectory, "it is a folder; give a file in it"));
    }
    text(std::fs::read(path)?)
}

/// A file that was met in a folder: nothing where it is no text and has nothing of ours either.
///
/// # Errors
/// As [`read`].
pub(super) fn read_found(path: &Path) -> Result<Option<String>> {
    let bytes = std::fs::read(path)?;
    let is_ours = is_ours(&bytes);
    match text(bytes) {
        Err(_) if !is_ours => Ok(None),
        read => read.map(Some),
    }
}

/// Whether the letters of a text in any encoding are those of a definition or of our kinds.
fn is_ours(bytes: &[u8]) -> bool {
    let letters: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    ["stepbound.dev/", "StartAt"].iter().any(|mark| letters.windows(mark.len()).any(|some| some == mark.as_bytes()))
}

fn text(bytes: Vec<u8>) -> Result<String> {
    // Neither JSON nor YAML has the byte 0, and UTF-16 of English letters is UTF-8 but for that.
    let problem = match String::from_utf8(bytes) {
        // Editors of Windows put a mark before a text, which neither JSON nor our readers have.
        Ok(text) if !text.contains('\0') => {
            return Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text));
        }
        Ok(text) => no_utf8(text.as_bytes(), None),
        Err(error) => no_utf8(error.as_bytes(), Some(error.utf8_error().valid_up_to())),
    };
    Err(Error::new(ErrorKind::InvalidData, problem))
}

/// What bytes are that are no text in UTF-8, and how to convert them.
fn no_utf8(bytes: &[u8], first_wrong: Option<usize>) -> String {
    let other = |name: &str, encoding: &str| {
        format!("it is {name}, and UTF-8 is wanted; convert it: iconv -f {encoding} -t UTF-8 OLD > NEW")
    };
    let zeros = |parity: usize| bytes.iter().skip(parity).step_by(2).take(64).filter(|byte| **byte == 0).count();
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return other("UTF-32", "UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return other("UTF-16", "UTF-16"),
        [0x1f, 0x8b, ..] => return "it is compressed; unpack it first: gunzip".into(),
        _ => {}
    }
    match (zeros(0), zeros(1)) {
        (0, 0) => {}
        (0, _) => return other("UTF-16 without a byte order mark", "UTF-16LE"),
        (_, 0) => return other("UTF-16 without a byte order mark", "UTF-16BE"),
        _ => return "it is no text".into(),
    }
    let at = first_wrong.unwrap_or_default();
    let line = bytes[..at].split(|byte| *byte == b'\n').count();
    let byte = bytes.get(at).copied().unwrap_or_default();
    format!(
        "line {line} is not UTF-8 (byte 0x{byte:02x}); where it is of an older encoding of Western Europe, convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> String {
        text(bytes.to_vec()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_utf8_is_told_as_what_it_is_with_how_to_convert_it() {
        let wide = |big: bool| {
            let pair = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            "StartAt: A\n".encode_utf16().flat_map(pair).collect::<Vec<u8>>()
        };
        for (bytes, part) in [
            (
                [vec![0xff, 0xfe], wide(false)].concat(),
                "it is UTF-16, and UTF-8 is wanted; convert it: iconv -f UTF-16 -t",
            ),
            ([vec![0xfe, 0xff], wide(true)].concat(), "iconv -f UTF-16 -t"),
            (wide(false), "iconv -f UTF-16LE -t"),
            (wide(true), "iconv -f UTF-16BE -t"),
            (vec![0xff, 0xfe, 0, 0, b'a', 0, 0, 0], "iconv -f UTF-32 -t"),
            (vec![0x1f, 0x8b, 8, 0], "gunzip"),
            (b"a: 1\nb: \xf6\n".to_vec(), "line 2 is not UTF-8 (byte 0xf6)"),
            (vec![b'a', 0, 0, b'b'], "it is no text"),
        ] {
            assert!(told(&bytes).contains(part), "{}", told(&bytes));
        }
        assert_eq!(text(b"\xef\xbb\xbfa: \xc3\xb6".to_vec()).unwrap(), "a: ö", "without the mark");
        assert_eq!(text(b"\xef\xbb\xbf".to_vec()).unwrap(), "");
        assert!(is_ours(&wide(true)) && !is_ours(b"binary \xff"));
    }
}
