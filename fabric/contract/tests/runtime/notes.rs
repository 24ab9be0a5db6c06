//! A contract that uses everything of a transaction's context.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use fabric_contract::{Context, LedgerError, contract};
use futures::FutureExt;
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16, pub(crate) String);

#[contract]
pub(crate) trait Notes {
    #[evaluate]
    async fn echo(&self, ctx: &Context, text: String) -> Result<String, Refusal>;
    #[evaluate]
    async fn read(&self, ctx: &Context, key: String) -> Result<Option<String>, Refusal>;
    #[evaluate]
    async fn read_many(&self, ctx: &Context, keys: Vec<String>) -> Result<Vec<Option<String>>, Refusal>;
    #[evaluate]
    async fn read_at_once(&self, ctx: &Context, keys: Vec<String>) -> Result<Vec<Option<String>>, Refusal>;
    #[evaluate]
    async fn read_impatiently(&self, ctx: &Context, given_up: String, key: String) -> Result<Option<String>, Refusal>;
    #[submit]
    async fn write(&self, ctx: &mut Context, entries: Vec<(String, String)>) -> Result<(), Refusal>;
    #[submit]
    async fn remove(&self, ctx: &mut Context, keys: Vec<String>) -> Result<(), Refusal>;
    #[submit]
    async fn write_and_refuse(&self, ctx: &mut Context, status: u16) -> Result<(), Refusal>;
    #[submit]
    async fn write_and_panic(&self, ctx: &mut Context) -> Result<(), Refusal>;
    #[submit]
    async fn increment(&self, ctx: &mut Context, key: String) -> Result<u64, Refusal>;
    #[submit]
    async fn announce(&self, ctx: &mut Context, name: String) -> Result<(), Refusal>;
    #[evaluate]
    async fn list(&self, ctx: &Context, start: String, end: String) -> Result<Vec<String>, Refusal>;
    #[evaluate]
    async fn first(&self, ctx: &Context, count: usize) -> Result<Vec<String>, Refusal>;
    #[evaluate]
    async fn first_after_giving_up(&self, ctx: &Context) -> Result<Vec<String>, Refusal>;
    #[evaluate]
    async fn of_owner(&self, ctx: &Context, owner: String) -> Result<Vec<String>, Refusal>;
    #[evaluate]
    async fn page(&self, ctx: &Context, owner: String, bookmark: Option<String>) -> Result<Value, Refusal>;
    #[evaluate]
    async fn history(&self, ctx: &Context, key: String) -> Result<Value, Refusal>;
    #[evaluate]
    async fn circumstances(&self, ctx: &Context) -> Result<Value, Refusal>;
}

pub(crate) struct Notebook;

impl Notes for Notebook {
    async fn echo(&self, _: &Context, text: String) -> Result<String, Refusal> {
        Ok(text)
    }

    async fn read(&self, ctx: &Context, key: String) -> Result<Option<String>, Refusal> {
        Ok(ctx.get(&key).await?.map(text))
    }

    async fn read_many(&self, ctx: &Context, keys: Vec<String>) -> Result<Vec<Option<String>>, Refusal> {
        Ok(ctx.get_many(&keys).await?.into_iter().map(|value| value.map(text)).collect())
    }

    async fn read_at_once(&self, ctx: &Context, keys: Vec<String>) -> Result<Vec<Option<String>>, Refusal> {
        let values = futures::future::try_join_all(keys.iter().map(|key| ctx.get(key))).await?;
        Ok(values.into_iter().map(|value| value.map(text)).collect())
    }

    async fn read_impatiently(&self, ctx: &Context, given_up: String, key: String) -> Result<Option<String>, Refusal> {
        assert!(ctx.get(&given_up).now_or_never().is_none());
        self.read(ctx, key).await
    }

    async fn write(&self, ctx: &mut Context, entries: Vec<(String, String)>) -> Result<(), Refusal> {
        entries.into_iter().for_each(|(key, value)| ctx.put(key, value));
        Ok(())
    }

    async fn remove(&self, ctx: &mut Context, keys: Vec<String>) -> Result<(), Refusal> {
        keys.into_iter().for_each(|key| ctx.delete(key));
        Ok(())
    }

    async fn write_and_refuse(&self, ctx: &mut Context, status: u16) -> Result<(), Refusal> {
        ctx.put("unwanted", "value");
        ctx.set_event("unwanted", "");
        Err(Refusal(status, "no: not \"today\"".into()))
    }

    async fn write_and_panic(&self, ctx: &mut Context) -> Result<(), Refusal> {
        ctx.put("unwanted", "value");
        panic!("a bug");
    }

    async fn increment(&self, ctx: &mut Context, key: String) -> Result<u64, Refusal> {
        let next = ctx.get(&key).await?.map_or(0, |value| text(value).parse::<u64>().unwrap()) + 1;
        ctx.put(key.clone(), next.to_string());
        assert_ne!(ctx.get(&key).await?.map(text), Some(next.to_string()), "reads do not see own writes");
        Ok(next)
    }

    async fn announce(&self, ctx: &mut Context, name: String) -> Result<(), Refusal> {
        ctx.set_event("Forgotten", "");
        ctx.set_event(name, "payload");
        Ok(())
    }

    async fn list(&self, ctx: &Context, start: String, end: String) -> Result<Vec<String>, Refusal> {
        Ok(ctx.range(&start, &end).collect().await?.into_iter().map(|(key, _)| key).collect())
    }

    async fn first(&self, ctx: &Context, count: usize) -> Result<Vec<String>, Refusal> {
        let mut keys = Vec::new();
        let mut range = ctx.range("", "");
        while keys.len() < count
            && let Some((key, _)) = range.next().await?
        {
            keys.push(key);
        }
        drop(range);
        ctx.get("anything").await?;
        Ok(keys)
    }

    async fn first_after_giving_up(&self, ctx: &Context) -> Result<Vec<String>, Refusal> {
        let mut range = ctx.range("", "");
        for _ in 0..100 {
            range.next().await?;
        }
        assert!(range.next().now_or_never().is_none());
        Ok(range.next().await?.into_iter().map(|(key, _)| key).collect())
    }

    async fn of_owner(&self, ctx: &Context, owner: String) -> Result<Vec<String>, Refusal> {
        let found = ctx.partial_composite("note", &[&owner]).collect().await?;
        Ok(found.into_iter().map(|(_, value)| text(value)).collect())
    }

    async fn page(&self, ctx: &Context, owner: String, bookmark: Option<String>) -> Result<Value, Refusal> {
        let page = ctx.composite_page("note", &[&owner], 2, bookmark.as_deref()).await?;
        let values: Vec<String> = page.items.into_iter().map(|(_, value)| text(value)).collect();
        Ok(json!({ "values": values, "bookmark": page.bookmark }))
    }

    async fn history(&self, ctx: &Context, key: String) -> Result<Value, Refusal> {
        let changes = ctx.history(&key).collect().await?.into_iter();
        Ok(changes.map(|change| json!([change.transaction_id, change.time, change.value.map(text)])).collect())
    }

    async fn circumstances(&self, ctx: &Context) -> Result<Value, Refusal> {
        let caller = ctx.caller();
        Ok(json!({
            "transaction": ctx.transaction_id(), "channel": ctx.channel_id(), "time": ctx.transaction_time(),
            "secret": ctx.transient("secret").map(|secret| text(secret.to_vec())), "other": ctx.transient("other"),
            "msp": caller.msp_id(), "key_hash": caller.key_hash(), "certificate": caller.certificate_der(),
            "client": caller.has_organizational_unit("client"), "admin": caller.has_organizational_unit("admin"),
            "id": caller.id(), "attribute": caller.attribute("role"),
        }))
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self(500, error.to_string())
    }
}

impl From<Refusal> for (u16, String) {
    fn from(Refusal(status, text): Refusal) -> Self {
        (status, format!("{status} {text}"))
    }
}

impl FromStr for Refusal {
    type Err = Option<Infallible>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (status, text) = text.split_once(' ').ok_or(None)?;
        Ok(Self(status.parse().map_err(|_| None)?, text.to_owned()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.1)
    }
}
