//! The contract that a trait defines, and what is wrong with one that defines none.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Ident, ItemTrait, Lit, LitStr, Meta, Pat, PathArguments, Result,
    ReturnType, TraitItem, TraitItemFn, Type, Visibility,
};

pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) ident: Ident,
    pub(crate) functions: Vec<Function>,
}

pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) kind: Kind,
    pub(crate) ident: Ident,
    /// lowerCamelCase.
    pub(crate) wire_name: String,
    /// As written: `&Context` or `&mut Context`.
    pub(crate) context: (Ident, Type),
    pub(crate) parameters: Vec<(Ident, Type)>,
    pub(crate) output: Type,
    pub(crate) value: Type,
    pub(crate) refusal: Type,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Submit,
    Evaluate,
}

impl Definition {
    pub(crate) fn parse(attribute: TokenStream, item: TokenStream) -> Result<Self> {
        let item: ItemTrait = syn::parse2(item)
            .map_err(|error| Error::new(error.span(), format!("#[contract] stands on a trait: {error}")))?;
        if let Some(generic) = item.generics.params.first() {
            return Err(Error::new(generic.span(), "a contract has no generic parameters: name the types"));
        }
        if let Some(parent) = item.supertraits.first() {
            return Err(Error::new(parent.span(), "a contract has no supertraits: Send, Sync and 'static are added"));
        }
        let name = contract_name(attribute)?.unwrap_or_else(|| item.ident.unraw().to_string());
        let functions = item.items.into_iter().map(Function::parse).collect::<Result<Vec<_>>>()?;
        if let Some((first, second)) = duplicate(&functions) {
            let text = format!("{} and {second} are both {} on the wire: rename one", first.ident, first.wire_name);
            return Err(Error::new(second.span(), text));
        }
        Ok(Self { name, attributes: item.attrs, visibility: item.vis, ident: item.ident, functions })
    }
}

impl Function {
    fn parse(item: TraitItem) -> Result<Self> {
        let span = item.span();
        let TraitItem::Fn(TraitItemFn { mut attrs, sig, default, .. }) = item else {
            return Err(Error::new(span, "a contract has functions only"));
        };
        let kind = kind(&mut attrs, &sig.ident)?;
        if sig.asyncness.is_none() {
            return Err(Error::new(sig.fn_token.span, "a contract's function is `async fn`"));
        }
        if let Some(body) = default {
            return Err(Error::new(body.span(), "the body goes into the implementation of the trait"));
        }
        if let Some(generic) = sig.generics.params.first() {
            return Err(Error::new(generic.span(), "a contract's function has no generic parameters: name the types"));
        }

        let mut inputs = sig.inputs.iter();
        match inputs.next() {
            Some(FnArg::Receiver(this)) if this.reference.is_some() && this.mutability.is_none() => {}
            _ => return Err(Error::new(sig.ident.span(), "the first parameter is `&self`")),
        }
        let context = inputs.next().map(parameter).transpose()?;
        let context = context.filter(|(_, kind)| is_context(kind)).ok_or_else(|| {
            Error::new(sig.ident.span(), "the second parameter is `ctx: &mut Context` or `ctx: &Context`")
        })?;
        let parameters = inputs.map(parameter).collect::<Result<Vec<_>>>()?;
        if let Some((_, reference)) = parameters.iter().find(|(_, kind)| matches!(kind, Type::Reference(_))) {
            return Err(Error::new(reference.span(), "arguments are owned: they are read from the client's JSON"));
        }
        let (output, value, refusal) = result(&sig.output, &sig.ident)?;
        Ok(Self {
            attributes: attrs,
            kind,
            wire_name: lower_camel_case(&sig.ident),
            ident: sig.ident,
            context,
            parameters,
            output,
            value,
            refusal,
        })
    }
}

/// The text of documentation comments, lines joined.
pub(crate) fn documentation(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some(text.value().trim().to_owned()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
        .collect();
    lines.join(" ").trim().to_owned()
}

fn contract_name(attribute: TokenStream) -> Result<Option<String>> {
    let mut name = None;
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("name") {
            return Err(meta.error("#[contract] takes name = \"…\" only"));
        }
        let text: LitStr = meta.value()?.parse()?;
        if text.value().is_empty() || text.value().contains(':') {
            return Err(Error::new(
                text.span(),
                "a contract's name is not empty and has no colon, which ends it on the wire",
            ));
        }
        name = Some(text.value());
        Ok(())
    });
    syn::parse::Parser::parse2(parser, attribute)?;
    Ok(name)
}

/// Takes #[submit] or #[evaluate] out of the attributes.
fn kind(attributes: &mut Vec<Attribute>, function: &Ident) -> Result<Kind> {
    let mut kinds = Vec::new();
    attributes.retain(|attribute| {
        let kind = match &attribute.meta {
            Meta::Path(path) if path.is_ident("submit") => Kind::Submit,
            Meta::Path(path) if path.is_ident("evaluate") => Kind::Evaluate,
            _ => return true,
        };
        kinds.push(kind);
        false
    });
    match kinds[..] {
        [kind] => Ok(kind),
        _ => {
            let text = format!(
                "say what {function} is for: #[submit] if it writes, #[evaluate] if it only reads, and not both"
            );
            Err(Error::new(function.span(), text))
        }
    }
}

fn parameter(argument: &FnArg) -> Result<(Ident, Type)> {
    match argument {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
                Ok((name.ident.clone(), (*typed.ty).clone()))
            }
            other => Err(Error::new(other.span(), "a parameter of a contract's function is a plain name")),
        },
        FnArg::Receiver(this) => Err(Error::new(this.span(), "`self` comes first, once")),
    }
}

fn is_context(kind: &Type) -> bool {
    match kind {
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Context"),
            _ => false,
        },
        _ => false,
    }
}

fn result(output: &ReturnType, function: &Ident) -> Result<(Type, Type, Type)> {
    let wrong =
        |span: Span| Error::new(span, "a contract's function returns `Result<value, refusal>`, both named here");
    let ReturnType::Type(_, output) = output else { return Err(wrong(function.span())) };
    let Type::Path(path) = &**output else { return Err(wrong(output.span())) };
    let last = path.path.segments.last().filter(|last| last.ident == "Result");
    let Some(PathArguments::AngleBracketed(arguments)) = last.map(|last| &last.arguments) else {
        return Err(wrong(output.span()));
    };
    let types: Vec<&Type> = arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(kind) => Some(kind),
            _ => None,
        })
        .collect();
    match types[..] {
        [value, refusal] => Ok(((**output).clone(), value.clone(), refusal.clone())),
        _ => Err(wrong(output.span())),
    }
}

fn lower_camel_case(ident: &Ident) -> String {
    let name = ident.unraw().to_string();
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

fn duplicate(functions: &[Function]) -> Option<(&Function, &Ident)> {
    functions.iter().enumerate().find_map(|(position, second)| {
        let first = functions[..position].iter().find(|first| first.wire_name == second.wire_name)?;
        Some((first, &second.ident))
    })
}

#[cfg(test)]
mod tests;
