//! What is taken for an id, a key, a hash, a reason, an address.

use crate::support::key;
use healthchain_rules::*;

fn takes<T: std::str::FromStr<Err = Malformed>>(good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(text.parse::<T>().is_ok(), "{text:?} is refused");
    }
    for text in bad {
        assert!(text.parse::<T>().is_err(), "{text:?} is taken");
    }
}

#[test]
fn ids_are_short_and_plain() {
    let long = "a".repeat(64);
    let too_long = "a".repeat(65);
    takes::<MemberId>(&["a", "p-17", "0", &long], &["", "A", "a b", "a_b", "ä", "a\0", "a\u{10ffff}", &too_long]);
    takes::<MspId>(&["HospitalMSP", "org-1.example_x"], &["", "a b", "a\0", "Ä", &too_long]);
}

#[test]
fn hashes_are_64_lower_case_digits() {
    let good = "0123456789abcdef".repeat(4);
    takes::<KeyHash>(&[&good], &["", &good[1..], &good.to_uppercase(), &format!("{good}0")]);
    takes::<NotarizedHash>(&[&good], &["", &good[1..], &good.to_uppercase(), &format!("{good}0")]);
    assert_eq!(KeyHash::from_bytes(&[0xab; 32]).as_str(), "ab".repeat(32));
}

#[test]
fn functions_are_named_with_their_contract() {
    takes::<FunctionName>(
        &["Links:open", "A:b"],
        &["", ":", "Links", "Links:", ":open", "Links:open:now", "Links:o-pen"],
    );
}

#[test]
fn a_transactions_time_is_in_whole_milliseconds() {
    let time = |seconds, nanoseconds| LedgerTime::from_timestamp(seconds, nanoseconds).map(LedgerTime::milliseconds);
    assert_eq!(time(2, 3_999_999), Ok(2003));
    assert!(time(-1, 0).is_err() && time(0, -1).is_err() && time(i64::MAX, 0).is_err());
}

#[test]
fn days_are_counted_backwards_to_the_first_moment() {
    const DAY: u64 = 86_400_000;
    assert_eq!(LedgerTime::from_milliseconds(3 * DAY + 5).minus_days(2).milliseconds(), DAY + 5);
    assert_eq!(LedgerTime::from_milliseconds(DAY - 1).minus_days(1).milliseconds(), 0);
    assert_eq!(LedgerTime::from_milliseconds(DAY).to_string(), "86400000");
}

#[test]
fn currencies_are_three_capitals() {
    takes::<Currency>(&["USD", "EUR"], &["", "US", "USDT", "usd", "U$D", "US1", "ÄÖ"]);
}

#[test]
fn public_keys_are_uncompressed_p256_spki() {
    let good = key("carol").public_key;
    let text = good.as_str();
    takes::<PublicKey>(
        &[text],
        &["", &text[4..], &text.replacen("MFkw", "MFkx", 1), &text.replace("==", "A="), &format!("{text}AAAA")],
    );
}

#[test]
fn reasons_are_short_and_on_one_line() {
    let long = "ü".repeat(200);
    takes::<Reason>(&["left", &long], &["", "  ", "a\nb", "a\u{7}", &"ü".repeat(201)]);
}

#[test]
fn gateways_are_named_by_https_host_and_port() {
    takes::<GatewayUrl>(
        &["https://localhost:8443", "https://gateway.hospital.example"],
        &[
            "",
            "http://a",
            "https://",
            "https://a/b",
            "https://a b",
            "https://a:0",
            "https://a:99999",
            "https://u@a",
            "https://[::1]:1",
        ],
    );
}

#[test]
fn media_types_have_type_subtype_and_plain_parameters() {
    takes::<MediaType>(
        &["application/fhir+json", "application/fhir+json;fhirVersion=4.0", "image/png"],
        &[
            "",
            "json",
            "a/b/c",
            "a/",
            "/b",
            "a/b; c=d",
            "a/b;c",
            "text/plain\r\nX: y",
            &format!("a/{}", "b".repeat(128)),
        ],
    );
}

#[test]
fn sealed_payloads_are_bounded_base64() {
    let long = "AAAA".repeat(512);
    takes::<Sealed>(
        &["AAAA", "A+/A", "AA==", "AAA=", &long],
        &["", "A", "AA=", "A-_A", "====", &format!("{long}AAAA")],
    );
}

#[test]
fn what_is_malformed_is_refused_by_serde_too() {
    assert!(serde_json::from_str::<LinkId>("\"a b\"").is_err());
    assert!(
        serde_json::from_str::<Envelope>(r#"{"holder":{"member":"a"},"recipient_key_hash":"x","sealed":"AAAA"}"#)
            .is_err()
    );
    let error = serde_json::from_str::<Purpose>("\"curiosity\"").unwrap_err();
    assert!(error.to_string().contains("unknown variant"));
}
