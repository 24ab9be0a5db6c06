//! A collector of traces that programs of these tests send to; `end-to-end` has it from here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A collector of traces (OTLP over gRPC) that keeps what it is sent.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.spans().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens on a free port, until the runtime ends.
    pub(crate) fn listen(&self) -> SocketAddr {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("there is a free port");
        let address = incoming.local_addr().expect("a bound socket has an address");
        let service = TraceServiceServer::new(self.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        address
    }

    /// The spans of a trace (hexadecimal id): of each, the names of those around it and its own, from the outermost.
    pub(crate) fn paths(&self, trace: &str) -> Vec<Vec<String>> {
        let spans = self.spans().clone().into_iter().filter(|span| hex::encode(&span.trace_id) == trace);
        let spans: HashMap<_, _> = spans.map(|span| (span.span_id.clone(), span)).collect();
        let path = |span: &Span| {
            let around = std::iter::successors(Some(span), |span| spans.get(&span.parent_span_id));
            let mut path: Vec<_> = around.map(|span| span.name.clone()).collect();
            path.reverse();
            path
        };
        let mut paths: Vec<_> = spans.values().map(path).collect();
        paths.sort();
        paths
    }

    /// Whether a span (hexadecimal id) has another right within it.
    pub(crate) fn has_child_of(&self, span: &str) -> bool {
        self.spans().iter().any(|child| hex::encode(&child.parent_span_id) == span)
    }

    /// Everything that was sent, as text.
    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.spans())
    }

    fn spans(&self) -> std::sync::MutexGuard<'_, Vec<Span>> {
        self.0.lock().expect("nobody panics while holding it")
    }
}
