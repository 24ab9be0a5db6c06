//! Contracts that are taken, and what is said about those that are not.

use quote::quote;

use super::*;

fn refused(attribute: TokenStream, item: TokenStream) -> String {
    Definition::parse(attribute, item).err().expect("refused").to_string()
}

fn refused_function(function: TokenStream) -> String {
    refused(quote!(), quote!(trait Notes { #function }))
}

#[test]
fn names_on_the_wire_are_lower_camel_case() {
    let item = quote! {
        trait Notes {
            #[submit] async fn open(&self, ctx: &mut Context) -> Result<(), Refusal>;
            #[evaluate] async fn of_patient(&self, ctx: &Context, a: u8) -> Result<(), Refusal>;
            #[evaluate] async fn add_2_notes_(&self, ctx: &Context) -> Result<(), Refusal>;
            #[evaluate] async fn r#match(&self, ctx: &fabric_contract::Context) -> Result<(), Refusal>;
        }
    };
    let definition = Definition::parse(quote!(), item).unwrap();
    assert_eq!(definition.name, "Notes");
    let names: Vec<&str> = definition.functions.iter().map(|function| function.wire_name.as_str()).collect();
    assert_eq!(names, ["open", "ofPatient", "add2Notes", "match"]);
    let kinds: Vec<Kind> = definition.functions.iter().map(|function| function.kind).collect();
    assert_eq!(kinds[..2], [Kind::Submit, Kind::Evaluate]);
}

#[test]
fn a_function_without_submit_or_evaluate_or_with_both_is_told_to_choose() {
    let expected = "say what open is for: #[submit] if it writes, #[evaluate] if it only reads, and not both";
    let open = quote!(
        async fn open(&self, ctx: &mut Context) -> Result<(), Refusal>;
    );
    assert_eq!(refused_function(open.clone()), expected);
    assert_eq!(refused_function(quote!(#[submit] #[evaluate] #open)), expected);
    assert_eq!(refused_function(quote!(#[submit] #[submit] #open)), expected);
}

#[test]
fn a_function_of_another_form_is_told_the_right_one() {
    let cases = [
        (
            quote!(
                fn f(&self, ctx: &Context) -> Result<(), R>;
            ),
            "a contract's function is `async fn`",
        ),
        (
            quote!(
                async fn f(&mut self, ctx: &Context) -> Result<(), R>;
            ),
            "the first parameter is `&self`",
        ),
        (
            quote!(
                async fn f(self, ctx: &Context) -> Result<(), R>;
            ),
            "the first parameter is `&self`",
        ),
        (
            quote!(
                async fn f(ctx: &Context) -> Result<(), R>;
            ),
            "the first parameter is `&self`",
        ),
        (
            quote!(
                async fn f(&self) -> Result<(), R>;
            ),
            "the second parameter is `ctx: &mut Context` or `ctx: &Context`",
        ),
        (
            quote!(
                async fn f(&self, key: String) -> Result<(), R>;
            ),
            "the second parameter is `ctx: &mut Context` or `ctx: &Context`",
        ),
        (
            quote!(
                async fn f(&self, ctx: &Context, key: &str) -> Result<(), R>;
            ),
            "arguments are owned: they are read from the client's JSON",
        ),
        (
            quote!(
                async fn f(&self, ctx: &Context, (a, b): (u8, u8)) -> Result<(), R>;
            ),
            "a parameter of a contract's function is a plain name",
        ),
        (
            quote!(
                async fn f(&self, ctx: &Context);
            ),
            "a contract's function returns `Result<value, refusal>`, both named here",
        ),
        (
            quote!(
                async fn f(&self, ctx: &Context) -> Result<()>;
            ),
            "a contract's function returns `Result<value, refusal>`, both named here",
        ),
        (
            quote!(
                async fn f<T>(&self, ctx: &Context, t: T) -> Result<(), R>;
            ),
            "a contract's function has no generic parameters: name the types",
        ),
        (
            quote!(
                async fn f(&self, ctx: &Context) -> Result<(), R> {
                    Ok(())
                }
            ),
            "the body goes into the implementation of the trait",
        ),
    ];
    for (function, expected) in cases {
        assert_eq!(refused_function(quote!(#[submit] #function)), expected, "{function}");
    }
    assert_eq!(
        refused_function(quote!(
            type T;
        )),
        "a contract has functions only"
    );
}

#[test]
fn a_trait_of_another_form_is_told_the_right_one() {
    assert!(
        refused(
            quote!(),
            quote!(
                struct Notes;
            )
        )
        .starts_with("#[contract] stands on a trait")
    );
    assert!(
        refused(
            quote!(),
            quote!(
                trait Notes<T> {}
            )
        )
        .starts_with("a contract has no generic parameters")
    );
    assert!(
        refused(
            quote!(),
            quote!(
                trait Notes: Clone {}
            )
        )
        .starts_with("a contract has no supertraits")
    );
    assert!(
        refused(
            quote!(name = "a:b"),
            quote!(
                trait Notes {}
            )
        )
        .starts_with("a contract's name is not empty")
    );
    assert!(
        refused(
            quote!(name = ""),
            quote!(
                trait Notes {}
            )
        )
        .starts_with("a contract's name is not empty")
    );
    assert!(
        refused(
            quote!(title = "N"),
            quote!(
                trait Notes {}
            )
        )
        .starts_with("#[contract] takes name")
    );
}

#[test]
fn two_functions_of_one_name_on_the_wire_are_refused() {
    let item = quote! {
        trait Notes {
            #[submit] async fn of_patient(&self, ctx: &Context) -> Result<(), R>;
            #[submit] async fn of__patient(&self, ctx: &Context) -> Result<(), R>;
        }
    };
    assert_eq!(refused(quote!(), item), "of_patient and of__patient are both ofPatient on the wire: rename one");
}
