//! Conditional requests (RFC 9110, section 13): what is read has a strong entity tag, the SHA-256 of its bytes.
//!
//! A strong tag tells codings apart (section 8.8.3), so an answer that is compressed on its way has the coding's name in its tag. It is the
//! same state all the same: whichever of its tags a caller was given, conditions are met by it, those of writes among them.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What [`super::browsers::compression`] may choose.
const CODINGS: [&str; 2] = ["gzip", "br"];
/// Stands in no tag before its coding: base64url has none.
const BEFORE_CODING: char = '.';

/// The entity tag of these bytes, in its quotation marks.
pub(crate) fn entity_tag(body: &[u8]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(openssl::sha::sha256(body)))
}

/// Gives a compressed answer a tag of its own. For all answers, once they are compressed or not.
pub(crate) async fn tell_codings_apart(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if let (Some(tag), Some(coding)) = (headers.get(header::ETAG), headers.get(header::CONTENT_ENCODING))
        && let Some(tag) = coded(tag, coding)
    {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// The tag, as the caller has it, of what the caller has already: `If-None-Match` names it, weakly compared.
pub(crate) fn known<'a>(headers: &'a HeaderMap, tag: &'a str) -> Option<&'a str> {
    tags(headers, header::IF_NONE_MATCH).find_map(|known| match known.strip_prefix("W/").unwrap_or(known) {
        "*" => Some(tag),
        known => names(known, tag).then_some(known),
    })
}

/// Whether the caller asks for the write to be conditional.
pub(crate) fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH)
}

/// Whether `If-Match` names this, strongly compared.
pub(crate) fn is_expected(headers: &HeaderMap, tag: &str) -> bool {
    tags(headers, header::IF_MATCH).any(|expected| expected == "*" || names(expected, tag))
}

fn coded(tag: &HeaderValue, coding: &HeaderValue) -> Option<HeaderValue> {
    let (tag, coding) = (tag.to_str().ok()?.strip_suffix('"')?, coding.to_str().ok()?);
    format!("{tag}{BEFORE_CODING}{coding}\"").parse().ok()
}

/// Whether this is the tag, or the one that it has when compressed.
fn names(said: &str, tag: &str) -> bool {
    let coded = said.strip_suffix('"').and_then(|said| said.rsplit_once(BEFORE_CODING));
    said == tag || coded.is_some_and(|(said, coding)| tag.strip_suffix('"') == Some(said) && CODINGS.contains(&coding))
}

/// The tags of a list. A tag of this gateway has no comma in it.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_tag_is_found_in_a_list_and_a_weak_one_only_for_reading() {
        let tag = entity_tag(b"{}");
        let known = |value: &str| known(&with(header::IF_NONE_MATCH, value), &tag).map(str::to_owned);
        assert_eq!(known(&format!("\"a\", W/{tag}")), Some(tag.clone()));
        assert_eq!(known("*"), Some(tag.clone()));
        assert_eq!(known(&entity_tag(b"[]")), None);
        assert_eq!(super::known(&HeaderMap::new(), &tag), None);
        assert!(is_expected(&with(header::IF_MATCH, &format!("\"a\",{tag}")), &tag));
        assert!(is_expected(&with(header::IF_MATCH, "*"), &tag));
        assert!(!is_expected(&with(header::IF_MATCH, &format!("W/{tag}")), &tag));
        assert!(!is_expected(&with(header::IF_MATCH, ""), &tag));
    }

    #[test]
    fn a_tag_is_known_with_the_codings_that_are_handed_out_and_with_no_others() {
        let tag = entity_tag(b"{}");
        let marked = |coding: &str| format!("{}.{coding}\"", tag.strip_suffix('"').unwrap());
        for coding in CODINGS {
            let made = coded(&tag.parse().unwrap(), &coding.parse().unwrap()).unwrap();
            assert_eq!(made, marked(coding));
            assert!(names(&marked(coding), &tag) && !names(&marked(coding), &entity_tag(b"[]")));
            assert!(!is_expected(&with(header::IF_MATCH, &format!("W/{}", marked(coding))), &tag));
        }
        for other in [marked("zstd"), marked(""), marked("gzip.gzip"), ".gzip\"".to_owned(), "\"".to_owned()] {
            assert!(!names(&other, &tag), "{other}");
        }
    }
}
