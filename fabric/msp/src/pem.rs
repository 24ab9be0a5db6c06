//! PEM that every reader takes for the same bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The content of the one block that `text` consists of, between `-----BEGIN label-----` and `-----END label-----`.
///
/// Readers of PEM differ in what they skip: Go's, for one, passes over a block whose END has another label, and takes the next. An
/// identity that a peer reads as one person and a chaincode as another would be impersonation. So nothing may be there that a reader
/// could skip: no text, no header, no second block; only blank lines around the block, and base64 with canonical padding in it. What is
/// taken here, Go's `pem.Decode` takes too, for the same bytes.
pub(crate) fn single_block(label: &str, text: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    let mut lines = lines(text).skip_while(|line| line.is_empty());
    let begin = format!("-----BEGIN {label}-----");
    if lines.next() != Some(&begin) {
        return Err(format!("its first line is not {begin}"));
    }
    let end = format!("-----END {label}-----");
    let mut body = String::with_capacity(text.len());
    loop {
        match lines.next() {
            Some(line) if line == end => break,
            Some(line) => body.push_str(line),
            None => return Err(format!("it has no line {end}")),
        }
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(format!("something follows {end}"));
    }
    match STANDARD.decode(&body) {
        Ok(content) if !content.is_empty() => Ok(content),
        Ok(_) => Err("it is empty".to_owned()),
        Err(_) => Err("there is something beside canonical base64 in it".to_owned()),
    }
}

/// The lines without their ends, which are LF or CR LF, and without spaces and tabs before those.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let line = |line: &'_ str| -> usize {
        let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
        line.trim_end_matches([' ', '\t']).len()
    };
    text.split_inclusive('\n').map(move |whole| &whole[..line(whole)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"what a certificate says, longer than one line has room for, so that there are two.";

    fn encoded(begin: &str, end: &str, line_end: &str) -> String {
        let body = STANDARD.encode(CONTENT);
        let (first, second) = body.split_at(64);
        [&format!("-----BEGIN {begin}-----"), first, second, &format!("-----END {end}-----"), ""].join(line_end)
    }

    fn genuine() -> String {
        encoded("CERTIFICATE", "CERTIFICATE", "\n")
    }

    fn read(text: impl AsRef<[u8]>) -> Result<Vec<u8>, String> {
        single_block("CERTIFICATE", text.as_ref())
    }

    #[test]
    fn what_official_clients_send_is_read() {
        let windows = encoded("CERTIFICATE", "CERTIFICATE", "\r\n");
        for text in [
            genuine(),
            genuine().trim_end().to_owned(),
            genuine() + "\n \t\n",
            "\n\r\n".to_owned() + &genuine(),
            genuine().replace("-----\n", "----- \t\n"),
            windows.trim_end().to_owned(),
            windows,
        ] {
            assert_eq!(read(&text).unwrap(), CONTENT, "{text:?}");
        }
    }

    /// Found by review: Go passes over a block whose END has another label and takes the next, other readers end at any END.
    #[test]
    fn a_block_that_another_reader_would_pass_over_is_refused() {
        let skipped = encoded("CERTIFICATE", "X", "\n");
        for text in [
            skipped.clone() + &genuine(),
            genuine() + &skipped,
            encoded("X", "CERTIFICATE", "\n") + &genuine(),
            encoded("X", "X", "\n") + &genuine(),
            format!("-----BEGIN CERTIFICATE-----\n{}", genuine()),
            genuine() + &genuine(),
            skipped,
            encoded("TRUSTED CERTIFICATE", "TRUSTED CERTIFICATE", "\n"),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_headers_and_anything_but_canonical_base64_are_refused() {
        let pem = genuine();
        let body = STANDARD.encode(CONTENT);
        assert!(body.ends_with('='), "else the next lines prove nothing");
        for text in [
            "subject=victim\n".to_owned() + &pem,
            pem.clone() + "subject=victim\n",
            " ".to_owned() + &pem,
            "\r".to_owned() + &pem,
            "\u{feff}".to_owned() + &pem,
            pem.trim_end().to_owned() + "\r",
            pem.replace("CATE-----\n", "CATE-----\nProc-Type: 4,ENCRYPTED\n\n"),
            pem.replace("-----\n", "----- x\n"),
            pem.replace("-----END", " -----END"),
            pem.replace('\n', "\r"),
            pem.replace("\n-----END", "-----END"),
            pem.replace("=\n-----END", "\n-----END"),
            pem.replace("=\n-----END", "=====\n-----END"),
            pem.replace("=\n-----END", "=\nAAAA\n-----END"),
            pem.replacen(&body[8..16], &format!("{} {}", &body[8..12], &body[12..16]), 1),
            pem.replacen(&body[8..12], "-_-_", 1),
            pem.replacen(&body[8..9], "\0", 1),
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_owned(),
            "-----BEGIN CERTIFICATE-----".to_owned(),
            String::new(),
        ] {
            assert!(text != pem && read(&text).is_err(), "{text:?}");
        }
        assert!(read(b"\xff").is_err());
    }

    #[test]
    fn the_bits_that_base64_leaves_over_are_zero() {
        assert_eq!(read("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----").unwrap(), [0]);
        assert!(read("-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----").is_err());
    }
}
