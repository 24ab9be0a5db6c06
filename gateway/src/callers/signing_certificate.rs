//! Whether a signing certificate may act through this gateway: its chain, revocation and NodeOU by the organisation's MSP folder, and
//! its period, which Fabric itself does not look at when it judges a creator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use fabric_msp::{Certificate, IdentityError, Invalidity, Msp, MspError, Msps};

use crate::file_stamp::FileStamp;

/// Why a signing certificate does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No authority of the organisation issued it, or not for members.
    #[error("the signing certificate was not issued by an authority of this organisation")]
    NotTrusted,
    /// The authority that issued it has revoked it.
    #[error("the signing certificate is revoked")]
    Revoked,
    /// Its period has ended, or has not begun.
    #[error("the signing certificate is expired or not yet valid")]
    OutsideItsPeriod,
    /// Its NodeOU is a peer's or an orderer's, or it has none where the MSP asks for one.
    #[error("the signing certificate is not a client's or an administrator's")]
    NotAClient,
}

/// The organisation's MSP, read from its folder as Fabric's own programs do. The folder may change while the gateway runs: another
/// revocation list in `crls/` counts from the next request on.
pub struct SigningAuthority {
    folder: PathBuf,
    msp_id: String,
    latest: RwLock<(Stamps, Msps)>,
}

type Stamps = BTreeMap<PathBuf, Option<FileStamp>>;

impl SigningAuthority {
    /// Reads an MSP folder (`cacerts/`, `crls/`, `config.yaml`, …).
    pub fn open(folder: &Path, msp_id: &str) -> Result<Self, MspError> {
        let latest = (stamps(folder), Msps::new(vec![Msp::load(folder, msp_id)?]));
        Ok(Self { folder: folder.to_owned(), msp_id: msp_id.to_owned(), latest: RwLock::new(latest) })
    }

    /// Judges a certificate at a time (seconds since 1970).
    pub fn judge(&self, certificate: &Certificate, now: u64) -> Result<(), Unfit> {
        let identity = self.msps().identify_certificate(&self.msp_id, certificate);
        let identity = identity.map_err(|error| match error {
            IdentityError::Invalid { reason: Invalidity::Revoked, .. } => Unfit::Revoked,
            IdentityError::Invalid {
                reason: Invalidity::NoNodeUnit { .. } | Invalidity::SeveralNodeUnits { .. },
                ..
            } => Unfit::NotAClient,
            _ => Unfit::NotTrusted,
        })?;
        require_period(certificate, now)?;
        if identity.may_be_a_client() { Ok(()) } else { Err(Unfit::NotAClient) }
    }

    /// As the folder is now. One that cannot be read any more makes no revoked certificate good: the one before stays.
    fn msps(&self) -> Msps {
        let stamps = stamps(&self.folder);
        {
            let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
            if latest.0 == stamps {
                return latest.1.clone();
            }
        }
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        latest.0 = stamps;
        match Msp::load(&self.folder, &self.msp_id) {
            Ok(msp) => latest.1 = Msps::new(vec![msp]),
            Err(error) => tracing::error!(%error, "the MSP folder as it was read before stays in force"),
        }
        latest.1.clone()
    }
}

/// Refuses a certificate outside its period.
pub(super) fn require_period(certificate: &Certificate, now: u64) -> Result<(), Unfit> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    if (certificate.not_before()..=certificate.not_after()).contains(&now) {
        Ok(())
    } else {
        Err(Unfit::OutsideItsPeriod)
    }
}

/// The folder and what is in it, one level deep, as MSP folders are.
fn stamps(folder: &Path) -> Stamps {
    let mut stamps = Stamps::from([(folder.to_owned(), FileStamp::of(folder))]);
    for entry in entries(folder) {
        if entry.is_dir() {
            stamps.extend(entries(&entry).map(|file| (file.clone(), FileStamp::of(&file))));
        }
        let stamp = FileStamp::of(&entry);
        stamps.insert(entry, stamp);
    }
    stamps
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path()))
}

#[cfg(test)]
mod tests {
    use fabric_msp::issue::{Authority, Issued, MspFolder, Request, write_msp_folder};

    use super::*;

    struct Organisation {
        authority: Authority,
        tls_authority: Authority,
        folder: tempfile::TempDir,
    }

    impl Organisation {
        fn new() -> Self {
            let authority = Authority::create("root", "Hospital").unwrap();
            let tls_authority = Authority::create("tls root", "Hospital").unwrap();
            let organisation = Self { authority, tls_authority, folder: tempfile::tempdir().unwrap() };
            organisation.write(&[]);
            organisation
        }

        fn write(&self, revocation_lists: &[String]) {
            let content = MspFolder {
                authority: &self.authority,
                tls_authority: &self.tls_authority,
                signer: None,
                revocation_lists,
            };
            write_msp_folder(self.folder.path(), &content).unwrap();
        }

        fn open(&self) -> SigningAuthority {
            SigningAuthority::open(self.folder.path(), "HospitalMSP").unwrap()
        }

        fn issue(&self, unit: &str) -> Issued {
            self.authority.issue(&Request::signing("dr-grey", unit)).unwrap()
        }
    }

    fn now() -> u64 {
        jsonwebtoken::get_current_timestamp()
    }

    #[test]
    fn clients_and_administrators_may_act_and_nodes_may_not() {
        let organisation = Organisation::new();
        let authority = organisation.open();
        for (unit, expected) in [
            ("client", Ok(())),
            ("admin", Ok(())),
            ("peer", Err(Unfit::NotAClient)),
            ("orderer", Err(Unfit::NotAClient)),
            ("doctors", Err(Unfit::NotAClient)),
        ] {
            assert_eq!(authority.judge(organisation.issue(unit).certificate(), now()), expected, "{unit}");
        }
    }

    #[test]
    fn another_authoritys_certificate_does_not_count_not_even_one_of_the_same_name_or_for_tls() {
        let organisation = Organisation::new();
        let authority = organisation.open();
        let elsewhere = Organisation::new().issue("client");
        let tls = organisation.tls_authority.issue(&Request::tls("dr-grey", &[], &[])).unwrap();
        for certificate in [elsewhere.certificate(), tls.certificate(), organisation.authority.certificate()] {
            assert_eq!(authority.judge(certificate, now()), Err(Unfit::NotTrusted));
        }
    }

    #[test]
    fn a_certificate_counts_in_its_period_only() {
        let organisation = Organisation::new();
        let (authority, issued) = (organisation.open(), organisation.issue("client"));
        let certificate = issued.certificate();
        let (first, last) = (certificate.not_before() as u64, certificate.not_after() as u64);
        assert_eq!(authority.judge(certificate, first), Ok(()));
        assert_eq!(authority.judge(certificate, last), Ok(()));
        for outside in [0, first - 1, last + 1, u64::MAX] {
            assert_eq!(authority.judge(certificate, outside), Err(Unfit::OutsideItsPeriod), "{outside}");
        }
    }

    #[test]
    fn a_revocation_counts_at_once_and_is_not_undone_by_a_folder_that_cannot_be_read() {
        let organisation = Organisation::new();
        let (authority, issued) = (organisation.open(), organisation.issue("client"));
        let colleague = organisation.issue("client");
        assert_eq!(authority.judge(issued.certificate(), now()), Ok(()));
        organisation.write(&[organisation.authority.revocation_list(&[issued.certificate()], 1).unwrap()]);
        assert_eq!(authority.judge(issued.certificate(), now()), Err(Unfit::Revoked));
        assert_eq!(authority.judge(colleague.certificate(), now()), Ok(()));
        std::fs::write(organisation.folder.path().join("crls/crl-0.pem"), "-----BEGIN nothing").unwrap();
        assert_eq!(authority.judge(issued.certificate(), now()), Err(Unfit::Revoked));
        assert_eq!(authority.judge(colleague.certificate(), now()), Ok(()));
    }

    #[test]
    fn a_folder_that_is_no_msps_is_refused_at_the_start() {
        assert!(SigningAuthority::open(Path::new("/nowhere"), "HospitalMSP").is_err());
    }
}
