//! Where a record comes from that is to be published: the request's body, or an upload that is whole.

use axum::body::Body;
use axum::http::HeaderMap;
use futures::{StreamExt as _, TryStreamExt as _};
use healthchain_rules::MediaType;

use super::input;
use super::problem::{Problem, UPLOAD_AND_BODY};
use crate::digest::{Checksum, Summing};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::uploads::UploadId;
use crate::use_cases::store_record::RecordBytes;
use crate::use_cases::upload::{self, UploadRefusal};
use crate::wallet::WalletMember;

/// A record on its way in.
pub(crate) struct Incoming {
    /// Its media type.
    pub(crate) media_type: MediaType,
    /// Its bytes; an upload that was published already has none any more.
    pub(crate) bytes: RecordBytes,
    /// The upload that it is.
    pub(crate) upload: Option<UploadId>,
    /// What the upload was published as.
    pub(crate) used_for: Option<String>,
}

impl Incoming {
    /// What a request brings, or the upload that it names.
    pub(crate) async fn of(
        gateway: &Gateway,
        member: &WalletMember,
        upload: Option<UploadId>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, Problem> {
        let digest = headers.get("repr-digest").and_then(|digest| digest.to_str().ok());
        let digest = digest.and_then(Checksum::of_representation);
        let Some(id) = upload else {
            let media_type = input::media_type(headers)?;
            input::require_length_within(headers, gateway.max_record_bytes)?;
            let bytes = input::record(body, gateway.max_record_bytes);
            return Ok(Self { media_type, bytes: checked(bytes, digest)?, upload: None, used_for: None });
        };
        if input::announced(headers).is_some_and(|length| length > 0) {
            return Err(UPLOAD_AND_BODY.into());
        }
        let found = upload::find(gateway, member, &id).await?;
        let upload = Some(id);
        if found.used_for.is_some() {
            let none = futures::stream::once(std::future::ready(Err(Failure::Upload(UploadRefusal::Used))));
            return Ok(Self { media_type: found.media_type, bytes: none.boxed(), upload, used_for: found.used_for });
        }
        let bytes = checked(upload::content(gateway, &found).await?, digest)?;
        Ok(Self { media_type: found.media_type, bytes, upload, used_for: None })
    }
}

/// The same bytes; at their end, those that are not what the digest is of are a failure.
fn checked(bytes: RecordBytes, digest: Option<Checksum>) -> Result<RecordBytes, Failure> {
    let Some(digest) = digest else { return Ok(bytes) };
    let sum = Some(Summing::new(digest)?);
    let checked = futures::stream::try_unfold((bytes, sum), |(mut bytes, mut sum)| async move {
        if let Some(chunk) = bytes.try_next().await? {
            if let Some(sum) = &mut sum {
                sum.update(&chunk)?;
            }
            return Ok(Some((chunk, (bytes, sum))));
        }
        match sum.take().map(Summing::fits).transpose()? {
            Some(false) => Err(Failure::RecordDigest),
            _ => Ok(None),
        }
    });
    Ok(checked.boxed())
}
