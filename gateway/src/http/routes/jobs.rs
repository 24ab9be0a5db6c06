use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::Path;
use crate::http::problem::{JOB_CUT_OFF, JOB_NOT_FOUND, JobProblems, Problem};
use crate::http::repeatable::job_id;
use crate::state::answers::{self, Answer, Progress};
use crate::use_cases::now;

/// A request that nobody waited for.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub(crate) enum Job {
    /// It is being carried out: ask again.
    Running,
    /// It was carried out.
    Done {
        /// What the request was answered.
        answer: JobAnswer,
    },
    /// It was refused, it failed, or its gateway was stopped before it knew.
    Failed {
        /// What the request was answered: a problem.
        problem: Value,
    },
}

/// A success.
#[derive(Serialize, JsonSchema)]
pub(crate) struct JobAnswer {
    /// HTTP status.
    status: u16,
    /// Where that is which the request has made.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// Its entity tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// The body.
    body: Value,
}

/// How far a request is that was sent with Prefer: respond-async
///
/// For the member who sent it, for a day; for all others it is unknown.
#[utoipa::path(get, path = "/v1/jobs/{job}",
    operation_id = "job", tag = "jobs", params(("job" = String, Path)),
    responses((status = 200, description = "The job", body = ref("#/components/schemas/Job")), JobProblems))]
pub(crate) async fn job(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(job): Path<String>,
) -> Result<Response, Problem> {
    let progress = answers::progress(&gateway.state, &job_id(&job), &member.id, now()).await.map_err(Failure::from)?;
    let job = match progress.ok_or(JOB_NOT_FOUND)? {
        Progress::UnderWay => {
            return Ok(
                ([(header::CACHE_CONTROL, "no-store"), (header::RETRY_AFTER, "1")], Json(Job::Running)).into_response()
            );
        }
        Progress::CutOff => Job::Failed { problem: Problem::new(JOB_CUT_OFF).into_json() },
        Progress::Answered(answer) => finished(answer),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(job)).into_response())
}

fn finished(answer: Answer) -> Job {
    let body = serde_json::from_str(&answer.body).unwrap_or_default();
    let header = |name: &str| answer.headers.get(name).cloned();
    match answer.status {
        400.. => Job::Failed { problem: body },
        status => Job::Done { answer: JobAnswer { status, location: header("location"), etag: header("etag"), body } },
    }
}
