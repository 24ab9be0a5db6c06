//! Every kind of problem that the gateway itself knows. Those of the ledger come with their own code and status.

use super::Kind;

macro_rules! kinds {
    ($(#[$about:meta])* $group:ident: $($name:ident $status:literal $code:literal $(after $seconds:literal)? $meaning:literal)+) => {
        $(
            #[doc = $meaning]
            pub const $name: Kind = Kind {
                code: $code,
                status: $status,
                meaning: $meaning,
                retry_after: kinds!(@after $($seconds)?),
            };
        )+
        $(#[$about])*
        pub const $group: &[Kind] = &[$($name),+];
    };
    (@after) => { None };
    (@after $seconds:literal) => { Some($seconds) };
}

kinds! {
    /// What every route that asks for a certificate may answer.
    CALLER:
    CLIENT_CERTIFICATE_MISSING 401 "client-certificate-missing"
        "This route asks who you are: present a TLS client certificate, or for a member's route a token."
    CLIENT_CERTIFICATE_OUTSIDE_ITS_PERIOD 401 "client-certificate-expired"
        "The TLS client certificate is expired or not yet valid: have it renewed."
    CLIENT_CERTIFICATE_REVOKED 401 "client-certificate-revoked"
        "The TLS client certificate was revoked: ask your organisation's administrator for another."
    CLIENT_CERTIFICATE_NOT_TRUSTED 401 "client-certificate-not-trusted"
        "The TLS client certificate was not issued for this by an authority that this gateway trusts."
}

kinds! {
    /// What a member's route may answer besides.
    MEMBER_CALLER:
    CLIENT_CERTIFICATE_NOT_BOUND 403 "client-certificate-not-bound"
        "The TLS client certificate is not bound to a member of this organisation: ask its administrator."
    NOT_A_MEMBER 403 "not-a-member"
        "This route is for members; the TLS client certificate is that of another organisation's gateway."
    CROSS_SITE_REQUEST 403 "cross-site-request"
        "A page of another site had a browser send this; nothing was done."
    SIGNING_UNKNOWN 400 "signing-unknown"
        "Healthchain-Signing has one value: detached. Leave it out to have the gateway sign."
    SIGN_YOURSELF 409 "sign-yourself"
        "Your key is not with this gateway: send the request with the header Healthchain-Signing: detached and sign what is answered; see /docs."
}

kinds! {
    /// What a member's route may answer to a token besides.
    TOKEN_CALLER:
    AUTHORIZATION_MALFORMED 400 "authorization-malformed"
        "Send one Authorization header: `Bearer TOKEN`, or `DPoP TOKEN` together with one DPoP header."
    TOKEN_UNKNOWN 401 "token-unknown"
        "The token was not given out here, or counts no more: open a session or ask for a token again."
    TOKEN_EXPIRED 401 "token-expired"
        "The token is expired: open a session or ask for a token again."
    TOKEN_NOT_TRUSTED 401 "token-not-trusted"
        "The token is not one that this gateway takes."
    TOKEN_CERTIFICATE_MISSING 401 "token-certificate-missing"
        "The token is bound to a TLS client certificate: call with that one (RFC 8705)."
    DPOP_PROOF_MISSING 401 "dpop-proof-missing"
        "The token is bound to a key: send it as `Authorization: DPoP TOKEN` with a DPoP proof made with that key (RFC 9449)."
    DPOP_PROOF_INVALID 401 "dpop-proof-invalid"
        "The DPoP proof does not fit this request, its time, its token or the token's key."
    DPOP_PROOF_REPLAYED 401 "dpop-proof-replayed"
        "This DPoP proof was used before: make a new one, with a jti of its own, for each request."
    SUBJECT_NOT_MAPPED 403 "subject-not-mapped"
        "The token is good, but its subject is mapped to no member here: ask your organisation's administrator."
    MEMBER_NOT_IN_WALLET 403 "member-not-in-wallet"
        "The proof is good, but names no member of this gateway's wallet: ask your organisation's administrator."
    SCOPE_INSUFFICIENT 403 "scope-insufficient"
        "The token's scope does not permit this request: ask for a wider one, or have the client's registration widened."
    PROOFS_DISAGREE 403 "proofs-disagree"
        "The TLS client certificate and the token name different members: show one of them only."
    IDENTITY_PROVIDER_UNAVAILABLE 503 "identity-provider-unavailable" after 5
        "The keys of the identity provider that issued the token cannot be had; nothing was changed: try again."
}

kinds! {
    /// What a member's route may answer about the certificate that the member signs with.
    SIGNING_CERTIFICATE:
    SIGNING_CERTIFICATE_REVOKED 403 "signing-certificate-revoked"
        "The member's signing certificate was revoked: ask your organisation's administrator for another."
    SIGNING_CERTIFICATE_OUTSIDE_ITS_PERIOD 403 "signing-certificate-expired"
        "The member's signing certificate is expired or not yet valid: have it renewed."
    SIGNING_CERTIFICATE_NOT_TRUSTED 403 "signing-certificate-not-trusted"
        "The signing certificate was not issued by an authority of this organisation."
    SIGNING_CERTIFICATE_NOT_A_CLIENTS 403 "signing-certificate-not-a-clients"
        "The signing certificate's organizational unit is not client or admin, which acting through a gateway asks for."
}

kinds! {
    /// What opening and closing a session may answer.
    SESSION:
    CHALLENGE_UNKNOWN 401 "challenge-unknown"
        "The nonce is not one of this gateway, or too old: ask for a challenge and answer it within two minutes."
    CHALLENGE_USED 401 "challenge-used"
        "The challenge was answered before: ask for another."
    POSSESSION_NOT_PROVEN 401 "possession-not-proven"
        "The signature does not prove that you hold the certificate's key: see docs/calling-the-gateway.md for the bytes to sign."
    SESSIONS_NOT_OFFERED 404 "sessions-not-offered"
        "This gateway opens no sessions: its operator names the organisation's MSP folder (callers.msp) to offer them."
    NO_SESSION 404 "no-session"
        "The request was not made with a session's token; there is nothing to close."
}

kinds! {
    /// What the routes for clinic systems may answer.
    CLIENTS:
    CLIENTS_NOT_OFFERED 404 "clients-not-offered"
        "No clinic system is registered at this gateway: its operator adds [[callers.smart]]."
}

kinds! {
    /// What a route between gateways may answer besides.
    GATEWAY_CALLER:
    NOT_A_GATEWAY 403 "not-a-gateway"
        "This route is for the gateways of other organisations; the TLS client certificate is a member's."
}

kinds! {
    /// What any request may be answered.
    REQUEST:
    ROUTE_NOT_FOUND 404 "route-not-found"
        "There is no such route: see /docs."
    METHOD_NOT_ALLOWED 405 "method-not-allowed"
        "The route exists, but not for this method: see /docs."
    MALFORMED_PATH 400 "malformed-path"
        "An id in the path is not one: ids are 1 to 64 of a-z, 0-9 and -."
    INTERNAL 500 "internal"
        "The gateway failed; its log says why."
}

kinds! {
    /// What a route with a query may answer besides.
    QUERY:
    MALFORMED_QUERY 400 "malformed-query"
        "The query does not fit the route: see /docs."
}

kinds! {
    /// What a route that takes JSON may answer besides.
    JSON_BODY:
    MALFORMED_BODY 400 "malformed-body"
        "The body is not the JSON that the route takes: see /docs."
    JSON_EXPECTED 415 "json-expected"
        "Send the body with Content-Type: application/json."
    BODY_TOO_LARGE 413 "body-too-large"
        "The body is larger than this route takes."
}

kinds! {
    /// What a conditional write, or one that leaves out its id, may answer besides.
    CONDITION:
    PRECONDITION_FAILED 412 "precondition-failed"
        "If-Match does not name what is there now; nothing was changed: read it again, and decide anew."
    IDEMPOTENCY_KEY_OR_ID_MISSING 422 "id-missing"
        "Send the id in the body, or an Idempotency-Key that one is made of: the same again when you repeat the request."
}

kinds! {
    /// What a signature that was made elsewhere may be answered.
    SIGNATURE:
    NOTHING_TO_SIGN 404 "nothing-to-sign"
        "Nothing of yours waits for a signature under this id: five minutes after it was prepared nothing does. Send the request anew."
    SIGNATURE_NOT_AWAITED 409 "signature-not-awaited"
        "The transaction waits for its other signature, or has both: the proposal is signed first, then the transaction."
    SIGNATURE_REFUSED 422 "signature-refused"
        "The signature is not made with your certificate's key over the SHA-256 of the bytes that were answered (ECDSA in DER, or r and s one after the other); nothing was sent."
}

kinds! {
    /// What a request with an Idempotency-Key may answer besides.
    REPETITION:
    IDEMPOTENCY_KEY_MISSING 400 "idempotency-key-missing"
        "Send an Idempotency-Key: 1 to 128 visible characters, the same again when you repeat the request."
    IDEMPOTENCY_KEY_REUSED 422 "idempotency-key-reused"
        "This Idempotency-Key was sent with another request: take a new key."
    IDEMPOTENCY_KEY_IN_USE 409 "idempotency-key-in-use" after 1
        "The first request with this Idempotency-Key is still being carried out: repeat it to learn its answer."
}

kinds! {
    /// What asking for a job may answer besides.
    JOB:
    JOB_NOT_FOUND 404 "job-not-found"
        "You have no such job, or have it no more: a job is kept for a day."
}

kinds! {
    /// What a job may end with besides.
    JOB_END:
    JOB_CUT_OFF 504 "job-cut-off"
        "The gateway was stopped before the request was answered, and whether it was carried out is not known: repeat the request with the same Idempotency-Key, or look."
}

kinds! {
    /// What the patient index may answer besides.
    INDEX:
    INDEX_NOT_PERMITTED 403 "patient-index-not-permitted"
        "The patient index is for this organisation's active clinicians and maintainers."
    IDENTIFIER_UNKNOWN 404 "identifier-unknown"
        "No patient is known here by this identifier."
    IDENTIFIER_OF_ANOTHER_PATIENT 409 "identifier-of-another-patient"
        "The identifier stands for another patient: if that is wrong, take it out first."
    NOT_A_PATIENT 422 "not-a-patient"
        "The ledger knows this member, but not as a patient."
}

kinds! {
    /// What whoever asks too much is answered.
    LIMITS:
    TOO_MANY_REQUESTS 429 "too-many-requests" after 1
        "You send more requests than one caller may: wait as long as Retry-After says."
}

kinds! {
    /// What following the ledger's events may answer besides.
    EVENTS:
    EVENT_ID_MALFORMED 400 "event-id-malformed"
        "Last-Event-ID or after is not the id of an event, which is BLOCK:NUMBER: send the last one that you were given, or none to begin now."
    TOO_MANY_STREAMS 429 "too-many-streams" after 10
        "You follow the events in as many streams as one member may have at this gateway: end one."
}

kinds! {
    /// What those who name events may be answered besides.
    EVENT_NAMES:
    UNKNOWN_EVENT 400 "unknown-event"
        "There is no event of this name: names are those of what is done, such as link-opened."
}

kinds! {
    /// What the routes of webhooks may answer besides.
    WEBHOOKS:
    WEBHOOK_NOT_FOUND 404 "webhook-not-found"
        "You have no such webhook."
    WEBHOOK_URL_REFUSED 422 "webhook-url-refused"
        "This gateway does not call the webhook's address."
    TOO_MANY_WEBHOOKS 409 "too-many-webhooks"
        "You have as many webhooks as one member may have: take one away."
}

kinds! {
    /// What redelivering may answer besides.
    REDELIVERY:
    DEAD_LETTER_NOT_FOUND 404 "dead-letter-not-found"
        "The webhook has no such dead letter, or has it no more, or you may not know of the event any more."
    WEBHOOK_NOT_TAKEN 502 "webhook-not-taken"
        "The webhook's receiver did not take the message this time either; it stays in the list."
}

kinds! {
    /// What publishing a record may answer besides.
    RECORD_BODY:
    MEDIA_TYPE_NOT_A_RECORD 415 "media-type-not-a-record"
        "Send the record's bytes as they are, with their own media type as Content-Type; forms are not taken."
    RECORD_TOO_LARGE 413 "record-too-large"
        "The record is larger than this gateway takes."
    RECORD_DIGEST_MISMATCH 400 "record-digest-mismatch"
        "The record is not what Repr-Digest is of; it was not published: send it again."
    RECORD_EMPTY 400 "record-empty"
        "The body is empty: send the record's bytes."
    RECIPIENT_KEY_UNUSABLE 502 "recipient-key-unusable"
        "The ledger names a recipient whose encryption key cannot be used: ask that organisation's administrator."
}

kinds! {
    /// What a route of uploads may answer besides.
    UPLOADS:
    UPLOAD_UNKNOWN 404 "upload-unknown"
        "You have no such upload, or it is past its time: begin another."
    UPLOAD_ELSEWHERE 409 "upload-elsewhere"
        "The upload has not come to where you go on, or somebody else goes on with it: ask by HEAD how far it has come, and go on there."
    UPLOAD_BEYOND_LENGTH 413 "upload-beyond-length"
        "That is more than the upload was announced to have: nothing of what goes beyond is kept."
    UPLOAD_USED 409 "upload-used"
        "The upload was published already, by a request with another Idempotency-Key: begin another."
    UPLOAD_INCOMPLETE 409 "upload-incomplete"
        "The upload is not whole yet: send the rest first."
    UPLOADS_TOO_MANY 409 "uploads-too-many"
        "You have as many uploads under way, or as many bytes of them, as one member may: publish or delete one."
    UPLOAD_AND_BODY 400 "upload-and-body"
        "The request names an upload and has a body: one of them is the record."
    CHECKSUM_MISMATCH 460 "checksum-mismatch"
        "What arrived is not what its checksum is of; nothing of it was kept: send it again."
}

kinds! {
    /// What a request of the tus protocol may be refused for.
    TUS:
    TUS_VERSION 412 "tus-version"
        "Send Tus-Resumable: 1.0.0; it is the one version of the protocol that is spoken here."
    TUS_HEADER 400 "tus-header"
        "A header that the tus protocol asks for is missing or is not as the protocol writes it."
    TUS_MEDIA_TYPE 415 "tus-media-type"
        "Send the next bytes with the Content-Type application/offset+octet-stream."
}

kinds! {
    /// What every route that asks the ledger may answer.
    LEDGER:
    PEER_UNAVAILABLE 503 "peer-unavailable" after 2
        "The organisation's peer cannot be reached; nothing was changed: try again."
    CHAINCODE_UNAVAILABLE 503 "chaincode-unavailable" after 5
        "The peer cannot reach its chaincode; nothing was changed: try again, and tell the organisation's operator."
    LEDGER_UNINTELLIGIBLE 502 "ledger-unintelligible"
        "The ledger answered what this gateway does not understand: gateway and chaincode are of different releases."
    LEDGER_FAILED 502 "ledger-failed"
        "The ledger could not carry out the transaction; nothing was changed."
}

kinds! {
    /// What every route that writes to the ledger may answer besides.
    LEDGER_WRITE:
    ENDORSERS_UNAVAILABLE 503 "endorsers-unavailable" after 2
        "Too few of the other organisations' peers can be reached to endorse; nothing was changed: try again."
    COMMIT_CONFLICT 503 "commit-conflict" after 1
        "Others changed the same facts at the same time, repeatedly; nothing was changed: try again."
    COMMIT_OUTCOME_UNKNOWN 504 "commit-outcome-unknown" after 5
        "The transaction was sent, but whether it was committed is not known yet: repeat the request unchanged; with the same Idempotency-Key nothing is published twice."
}

kinds! {
    /// What a route that remembers something beside the ledger may answer besides.
    STATE:
    STATE_UNAVAILABLE 503 "state-unavailable" after 2
        "The gateway's own database does not answer: try again, and tell the organisation's operator."
}

kinds! {
    /// What a route that reads or writes records may answer besides.
    RECORDS:
    RECORD_STORE_UNAVAILABLE 503 "record-store-unavailable" after 5
        "The organisation's record store failed: try again, and tell its operator."
    ENCRYPTION_KEY_UNAVAILABLE 503 "encryption-key-unavailable" after 5
        "The device that holds the encryption key does not answer: try again, and tell the organisation's operator."
}

kinds! {
    /// What a route that serves a record's content may answer besides.
    RECORD_CONTENT:
    RECORD_LOST 502 "record-lost"
        "The publisher's store does not hold the record any more, and no custodian has a copy: ask the publisher to restore it."
    RECORD_TAMPERED 502 "record-tampered"
        "The stored content is not what was published (its SHA-256, its key or its commitment does not fit); it was not used."
    LARGE_RECORDS_CROWDED 503 "large-records-crowded" after 5
        "Others read large records that are not in parts, and so take much memory at once: try again."
}

kinds! {
    /// What an opening may answer besides.
    OPENING:
    ENVELOPE_NOT_YET_SEALED 503 "envelope-not-yet-sealed" after 5
        "The opening is permitted, but the publisher's gateway, which alone can, has not sealed the key to you yet: open again, or when that gateway is up."
    ENVELOPE_DOES_NOT_OPEN 502 "envelope-does-not-open"
        "The envelope on the ledger does not open with the recipient's key for this link: ask the publisher."
    PUBLISHER_UNAVAILABLE 503 "publisher-unavailable" after 5
        "The opening is permitted, but neither the publisher's gateway, where the record lies, nor a custodian with a copy can be reached: try again."
    PUBLISHER_REFUSED 502 "publisher-refused"
        "The opening is permitted, but the publisher's gateway refused the record."
    RECORD_BEYOND_LIMIT 502 "record-beyond-limit"
        "The opening is permitted, but the record is larger than this gateway takes: its operator can raise max_record_bytes."
    PUBLISHER_NOT_CONFIGURED 502 "publisher-not-configured"
        "This gateway does not know the publisher's TLS authority: its operator adds it to the configuration."
}

kinds! {
    /// What the second lock may answer besides.
    SECOND_LOCK:
    OPENING_NOT_FOUND 403 "opening-not-found"
        "This organisation's own peer knows no such opening; nothing is given out without one."
    OPENING_DENIED 403 "opening-denied"
        "The ledger denied this opening."
    OPENING_OF_ANOTHER_ORGANISATION 403 "opening-of-another-organisation"
        "The opening was permitted to another organisation than the one that asks."
    OPENING_OF_ANOTHER_LINK 403 "opening-of-another-link"
        "The opening was permitted for another link."
    OPENING_OF_ANOTHER_VERSION 403 "opening-of-another-version"
        "The opening was permitted for another version of the link."
    NOT_THE_PUBLISHER 404 "not-the-publisher"
        "The record of this link lies with another organisation, and no copy of it is kept here."
}

kinds! {
    /// What a route may answer besides that gives something out for an opening.
    OPENED:
    OPENING_TOO_OLD 403 "opening-too-old"
        "The opening is older than five minutes: open the link again."
}

kinds! {
    /// What a route that gives ranges of a record may answer besides.
    RECORD_RANGE:
    RANGE_NOT_SATISFIABLE 416 "range-not-satisfiable"
        "The record has none of the bytes that the Range header wants."
}

/// Every kind, for the documentation and the tests.
pub const ALL: &[&[Kind]] = &[
    CALLER,
    MEMBER_CALLER,
    TOKEN_CALLER,
    SIGNING_CERTIFICATE,
    SESSION,
    CLIENTS,
    GATEWAY_CALLER,
    REQUEST,
    QUERY,
    JSON_BODY,
    CONDITION,
    SIGNATURE,
    REPETITION,
    JOB,
    JOB_END,
    INDEX,
    LIMITS,
    EVENTS,
    EVENT_NAMES,
    WEBHOOKS,
    REDELIVERY,
    RECORD_BODY,
    UPLOADS,
    TUS,
    LEDGER,
    LEDGER_WRITE,
    STATE,
    RECORDS,
    RECORD_CONTENT,
    OPENING,
    SECOND_LOCK,
    OPENED,
    RECORD_RANGE,
];
