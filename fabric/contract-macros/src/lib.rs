//! Attributes that turn one trait into a dispatcher, a typed client and metadata.

mod definition;
mod expansion;

use proc_macro::TokenStream;

/// Makes a contract of a trait.
///
/// ```text
/// #[contract(name = "Links")]
/// pub trait Links {
///     /// Opens a link.
///     #[submit]
///     async fn open(&self, ctx: &mut Context, call: OpenLink) -> Result<Opening, Refusal>;
///     /// A link's description.
///     #[evaluate]
///     async fn link(&self, ctx: &Context, link: LinkId) -> Result<Link, Refusal>;
/// }
/// ```
///
/// gives the trait `Links` to implement, `LinksDispatcher` to serve it, `LinksClient` to call it, and its metadata. Without
/// `name` the contract has the trait's name. On the wire the functions are `Links:open` and `Links:link`: lowerCamelCase.
///
/// Arguments and results are JSON: `Serialize + DeserializeOwned + JsonSchema`. A refusal is any type with `Into<(u16, String)>`
/// (status 400–599 and message), and `FromStr`, which reads that message for the client, besides `Debug` and `Display`.
#[proc_macro_attribute]
pub fn contract(attribute: TokenStream, item: TokenStream) -> TokenStream {
    definition::Definition::parse(attribute.into(), item.into())
        .map(|definition| expansion::expand(&definition))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
