//! What a gateway whose ledger is for development says of it, wherever the gateway is seen. Its configuration tells it so.

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::map_response;
use axum::response::Response;
use serde_json::{Value, json};

const HEADER: HeaderName = HeaderName::from_static("healthchain-ledger");
const VALUE: HeaderValue = HeaderValue::from_static("development");

/// Has every answer, whatever it is, carry `Healthchain-Ledger: development` where there is a notice.
pub(super) fn marked(router: Router, notice: Option<&str>) -> Router {
    match notice {
        Some(_) => router.layer(map_response(mark)),
        None => router,
    }
}

async fn mark(mut response: Response) -> Response {
    response.headers_mut().insert(HEADER, VALUE);
    response
}

/// Puts the notice to where Swagger UI shows it first.
pub(super) fn noted(mut document: Value, notice: Option<&str>) -> Value {
    if let Some(notice) = notice {
        let info = &mut document["info"];
        let (title, description) = (text(&info["title"]), text(&info["description"]));
        info["title"] = json!(format!("{title} (development ledger)"));
        info["description"] = json!(format!("**{notice}** {description}"));
    }
    document
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
