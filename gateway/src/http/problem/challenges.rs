//! `WWW-Authenticate`: how a caller who is refused can prove itself (RFC 9110 section 11.6.1). A TLS client certificate has no scheme of its
//! own, so that only the ways with a token are named.

use super::*;

/// The header's values for an answer.
pub(super) fn of(status: u16, code: &str) -> &'static [&'static str] {
    let about_proof = [DPOP_PROOF_MISSING, DPOP_PROOF_INVALID, DPOP_PROOF_REPLAYED];
    let about_token = [TOKEN_UNKNOWN, TOKEN_EXPIRED, TOKEN_NOT_TRUSTED, TOKEN_CERTIFICATE_MISSING];
    match status {
        401 if about_proof.iter().any(|kind| kind.code == code) => {
            &[r#"DPoP realm="healthchain", algs="ES256 ES384", error="invalid_dpop_proof""#]
        }
        401 if about_token.iter().any(|kind| kind.code == code) => &[
            r#"Bearer realm="healthchain", error="invalid_token""#,
            r#"DPoP realm="healthchain", algs="ES256 ES384", error="invalid_token""#,
        ],
        401 => &[r#"Bearer realm="healthchain""#, r#"DPoP realm="healthchain", algs="ES256 ES384""#],
        403 if code == SCOPE_INSUFFICIENT.code => &[r#"Bearer realm="healthchain", error="insufficient_scope""#],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_401_and_no_other_answer_but_a_narrow_scope_says_how_to_prove_oneself() {
        for kind in ALL.iter().copied().flatten() {
            let response = Problem::new(*kind).into_response();
            let has = response.headers().contains_key(header::WWW_AUTHENTICATE);
            assert_eq!(has, kind.status == 401 || *kind == SCOPE_INSUFFICIENT, "{}", kind.code);
        }
        assert!(!of(401, "a code of the ledger").is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_token_or_proof_is_said_in_the_words_of_the_standards() {
        assert!(of(401, DPOP_PROOF_REPLAYED.code)[0].contains(r#"error="invalid_dpop_proof""#));
        assert!(of(401, TOKEN_EXPIRED.code).iter().all(|value| value.contains(r#"error="invalid_token""#)));
        assert!(of(401, CLIENT_CERTIFICATE_MISSING.code).iter().all(|value| !value.contains("error")));
    }
}
