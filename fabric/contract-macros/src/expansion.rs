//! The code of a contract: trait, dispatcher, client, metadata.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Ident, Type};

use crate::definition::{Definition, Function, Kind, documentation};

pub(crate) fn expand(definition: &Definition) -> TokenStream {
    let service = service_trait(definition);
    let dispatcher = dispatcher(definition);
    let client = client(definition);
    let metadata = metadata(definition);
    quote! { #service #dispatcher #client #metadata }
}

fn service_trait(definition: &Definition) -> TokenStream {
    let Definition { attributes, visibility, ident, functions, .. } = definition;
    let functions = functions.iter().map(|function| {
        let Function { attributes, ident, context: (context, context_type), parameters, output, .. } = function;
        let names = parameters.iter().map(|(name, _)| name);
        let types = parameters.iter().map(|(_, kind)| kind);
        quote! {
            #(#attributes)*
            fn #ident(
                &self, #context: #context_type, #(#names: #types),*
            ) -> impl ::core::future::Future<Output = #output> + ::core::marker::Send;
        }
    });
    quote! {
        #(#attributes)*
        #visibility trait #ident: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#functions)*
        }
    }
}

fn dispatcher(definition: &Definition) -> TokenStream {
    let Definition { name, visibility, ident, functions, .. } = definition;
    let dispatcher = format_ident!("{ident}Dispatcher");
    let client = client_name(definition);
    let doc = format!("Serves the contract `{name}`: leads each call to its function of [`{ident}`].");
    let arms = functions.iter().map(|function| arm(ident, function));
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        #visibility struct #dispatcher<T>(T);

        impl<T: #ident> #dispatcher<T> {
            /// Serves this implementation.
            #visibility fn new(contract: T) -> Self {
                Self(contract)
            }
        }

        impl<T: #ident> ::fabric_contract::Contract for #dispatcher<T> {
            fn name(&self) -> &'static str {
                #name
            }

            fn invoke<'a>(
                &'a self,
                ctx: &'a mut ::fabric_contract::Context,
                function: &'a str,
                arguments: &'a [::std::vec::Vec<u8>],
            ) -> ::core::option::Option<::fabric_contract::macro_support::BoxFuture<'a, ::fabric_contract::Outcome>> {
                match function {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            }

            fn metadata(
                &self,
                schemas: &mut ::fabric_contract::macro_support::SchemaGenerator,
            ) -> ::fabric_contract::metadata::ContractMetadata {
                #client::describe(schemas)
            }
        }
    }
}

fn arm(contract: &Ident, function: &Function) -> TokenStream {
    let Function { ident, wire_name, parameters, .. } = function;
    let count = parameters.len();
    let arguments = parameters.iter().enumerate().map(|(position, (name, kind))| {
        let name = name.to_string();
        quote! {
            ::fabric_contract::macro_support::argument::<#kind>(function, #name, &arguments[#position])?
        }
    });
    quote! {
        #wire_name => ::core::option::Option::Some(::std::boxed::Box::pin(async move {
            ::fabric_contract::macro_support::count(function, #count, arguments)?;
            let outcome = <T as #contract>::#ident(&self.0, ctx, #(#arguments),*).await;
            ::fabric_contract::macro_support::outcome(outcome)
        })),
    }
}

/// The metadata without anybody who serves or calls the contract: `AssetsClient::describe(schemas)`.
fn metadata(definition: &Definition) -> TokenStream {
    let Definition { name, attributes, visibility, functions, .. } = definition;
    let client = client_name(definition);
    let description = documentation(attributes);
    let functions = functions.iter().map(function_metadata);
    quote! {
        impl #client<()> {
            /// What the contract offers; the schemas that its functions share go into `schemas`.
            #visibility fn describe(
                schemas: &mut ::fabric_contract::macro_support::SchemaGenerator,
            ) -> ::fabric_contract::metadata::ContractMetadata {
                ::fabric_contract::metadata::ContractMetadata {
                    name: #name,
                    description: #description,
                    functions: ::std::vec![#(#functions),*],
                }
            }
        }
    }
}

fn function_metadata(function: &Function) -> TokenStream {
    let Function { attributes, kind, wire_name, parameters, value, .. } = function;
    let description = documentation(attributes);
    let kind = match kind {
        Kind::Submit => quote!(Submit),
        Kind::Evaluate => quote!(Evaluate),
    };
    let checks = parameters.iter().enumerate().map(|(position, (name, kind))| {
        let name = name.to_string();
        quote! { ::fabric_contract::macro_support::check::<#kind>(#name, arguments.get(#position))?; }
    });
    let parameters = parameters.iter().map(|(name, kind)| {
        let name = name.to_string();
        quote! { (#name, ::fabric_contract::metadata::schema::<#kind>(schemas)) }
    });
    quote! {
        ::fabric_contract::metadata::FunctionMetadata {
            name: #wire_name,
            description: #description,
            kind: ::fabric_contract::metadata::FunctionKind::#kind,
            parameters: ::std::vec![#(#parameters),*],
            returns: ::fabric_contract::metadata::schema::<#value>(schemas),
            check: |arguments| {
                #(#checks)*
                ::core::result::Result::Ok(())
            },
        }
    }
}

fn client(definition: &Definition) -> TokenStream {
    let Definition { name, visibility, ident, functions, .. } = definition;
    let client = client_name(definition);
    let doc = format!("Calls the contract `{name}`, with the functions of [`{ident}`].");
    let functions = functions.iter().map(|function| client_function(name, visibility, function));
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        #visibility struct #client<C>(C);

        impl<C: ::fabric_contract::Transact> #client<C> {
            /// Calls through this connection to the chaincode.
            #visibility fn new(chaincode: C) -> Self {
                Self(chaincode)
            }

            #(#functions)*
        }
    }
}

fn client_name(definition: &Definition) -> Ident {
    format_ident!("{}Client", definition.ident)
}

fn client_function(contract: &str, visibility: &syn::Visibility, function: &Function) -> TokenStream {
    let Function { attributes, kind, ident, wire_name, parameters, value, refusal, .. } = function;
    let call = match kind {
        Kind::Submit => quote!(submit),
        Kind::Evaluate => quote!(evaluate),
    };
    let full_name = format!("{contract}:{wire_name}");
    let names: Vec<&Ident> = parameters.iter().map(|(name, _)| name).collect();
    let types = parameters.iter().map(|(_, kind)| borrowed(kind));
    quote! {
        #(#attributes)*
        #visibility fn #ident(
            &self, #(#names: #types),*
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<#value, ::fabric_contract::CallError<C::Error, #refusal>>
        > + ::core::marker::Send + use<'_, C> {
            let arguments = ::std::vec![#(::fabric_contract::macro_support::json(#names)),*];
            ::fabric_contract::macro_support::#call(&self.0, #full_name, arguments)
        }
    }
}

/// How a client hands over an argument.
fn borrowed(kind: &Type) -> TokenStream {
    match kind {
        Type::Path(path) if path.path.is_ident("String") => quote!(&str),
        other => quote!(&#other),
    }
}
