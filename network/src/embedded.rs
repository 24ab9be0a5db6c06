//! The embedded ledger: one process for all organisations, and one chaincode process.

use crate::{
    NetworkError,
    health::{Address, Sign},
    layout::write_file,
    ledger::Ledger,
    process::Component,
    render,
    site::{Site, own_environment, path},
};

const LEDGER: &str = "ledger";
const CHAINCODE: &str = "chaincode";
/// The name of its configuration in its folder.
pub(crate) const CONFIGURATION: &str = "embedded.toml";

/// The network's ledger in one process.
pub(crate) struct Embedded<'a> {
    pub(crate) site: &'a Site,
}

impl Ledger for Embedded<'_> {
    fn components(&self) -> Result<Vec<Component>, NetworkError> {
        let Site { layout, consortium, programs, .. } = self.site;
        let operations = consortium.embedded_operations_port();
        let mut ports = vec![operations];
        ports.extend(consortium.organisations.iter().map(|organisation| organisation.ports().peer));
        let ledger = Component {
            name: LEDGER.into(),
            program: programs.own("fabric-embedded")?,
            arguments: vec!["--config".into(), path(&layout.embedded().join(CONFIGURATION))],
            environment: own_environment(),
            folder: layout.embedded(),
            ports,
            sign: Sign::Answers(Address { url: format!("http://127.0.0.1:{operations}/healthz"), tls: None }),
        };
        let chaincode = self.site.chaincode(
            CHAINCODE.into(),
            &layout.embedded_chaincode(),
            consortium.embedded_chaincode_port(),
            self.package_id()?,
        )?;
        Ok(vec![ledger, chaincode])
    }

    async fn prepare(&self) -> Result<(), NetworkError> {
        let Site { layout, consortium, .. } = self.site;
        let configuration = render::embedded(layout, consortium, &self.package_id()?)?;
        write_file(&layout.embedded().join(CONFIGURATION), configuration)
    }

    async fn open(&self) -> Result<(), NetworkError> {
        Ok(())
    }

    async fn settle(&self, _component: &str) -> Result<(), NetworkError> {
        Ok(())
    }

    async fn height(&self, component: &str) -> Option<u64> {
        if component != LEDGER {
            return None;
        }
        let first = self.site.consortium.organisations.first()?;
        crate::founding::height(self.site, first).await.ok()
    }
}

impl Embedded<'_> {
    fn package_id(&self) -> Result<String, NetworkError> {
        let layout = &self.site.layout;
        let root = layout.embedded_root();
        let port = self.site.consortium.embedded_chaincode_port();
        Ok(self.site.package(&layout.embedded_chaincode(), &root, port)?.id)
    }
}
