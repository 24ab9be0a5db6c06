//! Revocation lists, which the OpenSSL bindings read but do not write.

use openssl::base64::encode_block;

use super::{Authority, DAY, IssueError, now};
use crate::{Certificate, der, signature};

const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[6, 3, 0x55, 0x1d, 0x23];
const CRL_NUMBER: &[u8] = &[6, 3, 0x55, 0x1d, 0x14];

const SECONDS_TO_NEXT: i64 = 3650 * DAY;

impl Authority {
    /// A revocation list of these certificates, PEM. `number` must grow from list to list; the list replaces all before it,
    /// so name every revoked certificate each time. Peers act on it once it is in the channel's configuration.
    pub fn revocation_list(&self, revoked: &[&Certificate], number: u32) -> Result<String, IssueError> {
        let time = der::tagged(0x17, utc_time(now()).as_bytes());
        // RFC 5280 wants to know when the next list comes, and some verifiers take no list without.
        let next = der::tagged(0x17, utc_time(now() + SECONDS_TO_NEXT).as_bytes());
        let entries: Vec<Vec<u8>> =
            revoked.iter().map(|certificate| der::sequence(&[&integer(certificate.serial()), &time])).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let key_id = self.certificate.extensions().subject_key_id.as_deref().unwrap_or_default();
        let authority_key_id = der::sequence(&[&der::tagged(0x80, key_id)]);
        let extensions = der::sequence(&[
            &der::sequence(&[AUTHORITY_KEY_IDENTIFIER, &der::tagged(0x04, &authority_key_id)]),
            &der::sequence(&[CRL_NUMBER, &der::tagged(0x04, &integer(&number.to_be_bytes()))]),
        ]);
        let revoked = if entries.is_empty() { Vec::new() } else { der::sequence(&entries) };
        let to_sign = der::sequence(&[
            &integer(&[1]),
            ECDSA_WITH_SHA256,
            &self.x509.subject_name().to_der()?,
            &time,
            &next,
            &revoked,
            &der::tagged(0xa0, &extensions),
        ]);
        let signature = signature::sign(&self.key, &to_sign)?;
        let list = der::sequence(&[&to_sign, ECDSA_WITH_SHA256, &der::bit_string(&signature)]);
        Ok(pem("X509 CRL", &list))
    }
}

fn integer(magnitude: &[u8]) -> Vec<u8> {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count().min(magnitude.len().saturating_sub(1));
    let short = &magnitude[zeros..];
    let sign: &[u8] = if short.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    der::tagged(0x02, &[sign, short].concat())
}

/// `YYMMDDHHMMSSZ` of seconds since 1970 (days to a date: H. Hinnant, "chrono-compatible low-level date algorithms").
fn utc_time(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{:02}{month:02}{day:02}{:02}{:02}{:02}Z", year % 100, second / 3600, second / 60 % 60, second % 60)
}

fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<String> =
        encode_block(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_x509_wants_them() {
        assert_eq!(utc_time(0), "700101000000Z");
        assert_eq!(utc_time(951_782_400), "000229000000Z");
        assert_eq!(utc_time(1_795_419_673), "261123074113Z");
    }

    #[test]
    fn integers_are_minimal_and_never_negative() {
        assert_eq!(integer(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0]), [2, 1, 0]);
    }
}
