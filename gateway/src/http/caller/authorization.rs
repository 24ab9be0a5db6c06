//! The `Authorization` and `DPoP` headers (RFC 9110 section 11.6.2, RFC 6750 section 2.1, RFC 9449 sections 4 and 7).

use axum::http::{HeaderMap, HeaderName, header};

use crate::http::problem::{AUTHORIZATION_MALFORMED, Kind};

/// Longest token, and longest proof, that is looked at, in bytes.
const MAX_BYTES: usize = 8 << 10;
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// A token with the way it was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authorization<'a> {
    /// By `DPoP`, else by `Bearer`.
    pub(crate) with_proof: bool,
    pub(crate) token: &'a str,
    pub(crate) proof: Option<&'a str>,
}

impl<'a> Authorization<'a> {
    /// What the headers say; none if there is no `Authorization`. Anything that could be read in two ways is refused.
    pub(crate) fn of(headers: &'a HeaderMap) -> Result<Option<Self>, Kind> {
        let proof = the_only(headers, DPOP)?;
        let Some(authorization) = the_only(headers, header::AUTHORIZATION)? else {
            return if proof.is_none() { Ok(None) } else { Err(AUTHORIZATION_MALFORMED) };
        };
        let (scheme, token) = authorization.split_once(' ').ok_or(AUTHORIZATION_MALFORMED)?;
        let with_proof = scheme.eq_ignore_ascii_case("dpop");
        if !with_proof && !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AUTHORIZATION_MALFORMED);
        }
        let token = token.trim_start_matches(' ');
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(is_token) || (!with_proof && proof.is_some()) {
            return Err(AUTHORIZATION_MALFORMED);
        }
        Ok(Some(Self { with_proof, token, proof }))
    }
}

fn the_only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Kind> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.len() <= MAX_BYTES + "Bearer ".len() => {
            value.to_str().map(Some).map_err(|_| AUTHORIZATION_MALFORMED)
        }
        _ => Err(AUTHORIZATION_MALFORMED),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(headers: &[(&'static str, &str)]) -> Result<Option<(bool, String, Option<String>)>, Kind> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let found = Authorization::of(&map)?;
        Ok(found.map(|found| (found.with_proof, found.token.to_owned(), found.proof.map(str::to_owned))))
    }

    #[test]
    fn a_token_comes_alone_or_with_its_proof() {
        assert_eq!(of(&[]), Ok(None));
        for scheme in ["Bearer", "bearer", "BEARER "] {
            let value = format!("{scheme} abc");
            assert_eq!(of(&[("authorization", &value)]), Ok(Some((false, "abc".into(), None))));
        }
        let both = of(&[("authorization", "DPoP abc"), ("dpop", "x.y.z")]);
        assert_eq!(both, Ok(Some((true, "abc".into(), Some("x.y.z".into())))));
        assert_eq!(of(&[("authorization", "dpop abc")]), Ok(Some((true, "abc".into(), None))));
    }

    #[test]
    fn what_can_be_read_in_two_ways_or_in_none_is_refused() {
        let long = format!("Bearer {}", "a".repeat(MAX_BYTES + 1));
        for headers in [
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")][..],
            &[("authorization", "DPoP a"), ("dpop", "b"), ("dpop", "c")],
            &[("authorization", "Bearer a"), ("dpop", "b")],
            &[("dpop", "b")],
            &[("authorization", "Basic YTpi")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer a b")],
            &[("authorization", "Bearer a, Bearer b")],
            &[("authorization", "")],
            &[("authorization", &long)],
        ] {
            assert_eq!(of(headers), Err(AUTHORIZATION_MALFORMED), "{headers:?}");
        }
    }
}
