//! Conditional requests (RFC 9110, section 13): what is read has a strong entity tag, the SHA-256 of its bytes.

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The entity tag of these bytes, in its quotation marks.
pub(super) fn entity_tag(body: &[u8]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(openssl::sha::sha256(body)))
}

/// Whether the caller has this already: `If-None-Match` names it, weakly compared.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    tags(headers, header::IF_NONE_MATCH).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// Whether the caller asks for the write to be conditional.
pub(super) fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH)
}

/// Whether `If-Match` names this, strongly compared.
pub(super) fn is_expected(headers: &HeaderMap, tag: &str) -> bool {
    tags(headers, header::IF_MATCH).any(|expected| expected == "*" || expected == tag)
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
        assert!(is_known(&with(header::IF_NONE_MATCH, &format!("\"a\", W/{tag}")), &tag));
        assert!(is_known(&with(header::IF_NONE_MATCH, "*"), &tag));
        assert!(!is_known(&with(header::IF_NONE_MATCH, &entity_tag(b"[]")), &tag));
        assert!(!is_known(&HeaderMap::new(), &tag));
        assert!(is_expected(&with(header::IF_MATCH, &format!("\"a\",{tag}")), &tag));
        assert!(is_expected(&with(header::IF_MATCH, "*"), &tag));
        assert!(!is_expected(&with(header::IF_MATCH, &format!("W/{tag}")), &tag));
        assert!(!is_expected(&with(header::IF_MATCH, ""), &tag));
    }
}
