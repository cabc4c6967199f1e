//! `#[derive(FromTree)]` for `engine::tree::FromTree`: a type's reader in a quarter of the code of serde's visitors.
//!
//! It obeys the attributes by which serde writes the type, so that one description serves both ways: `rename_all`, `default`,
//! `transparent` and `with`, whose module then has a function `from_tree`. Any other is refused.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Code;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Error, Field, Fields, FieldsNamed, Ident, LitStr, Path, Result, Token,
    parse_macro_input, parse_quote,
};

/// Derives `engine::tree::FromTree`.
#[proc_macro_derive(FromTree, attributes(serde))]
pub fn from_tree(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implementation(input).unwrap_or_else(Error::into_compile_error).into()
}

fn implementation(mut input: DeriveInput) -> Result<Code> {
    let (name, marks) = (&input.ident, Marks::of(&input.attrs)?);
    let body = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                let build = if marks.default { changed(fields)? } else { built(quote!(Self), fields)? };
                let name = name.to_string();
                quote! { let fields = ::engine::tree::Fields::of(tree, #name)?; #build }
            }
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 && marks.transparent => {
                quote! { Ok(Self(::engine::tree::FromTree::from_tree(tree)?)) }
            }
            other => return Err(Error::new_spanned(other, "only fields with names are read")),
        },
        Data::Enum(data) => chosen(name, data, &marks)?,
        Data::Union(data) => return Err(Error::new_spanned(data.union_token, "no union is read")),
    };
    for parameter in input.generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::engine::tree::FromTree));
    }
    let (parameters, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #parameters ::engine::tree::FromTree for #name #arguments #bounds {
            fn from_tree(tree: &::engine::tree::Value) -> ::core::result::Result<Self, ::engine::tree::Error> {
                #body
            }
        }
    })
}

/// A value whose fields are all there, but for those that may be absent.
fn built(path: Code, fields: &FieldsNamed) -> Result<Code> {
    let fields = fields.named.iter().map(|field| {
        let (place, name, marks) = described(field)?;
        let value = match (&marks.with, marks.default) {
            (None, false) => quote!(fields.field(#name)?),
            (Some(with), false) => quote!(fields.field_by(#name, #with::from_tree)?),
            (with, true) => {
                let change = change(&name, &quote!(value), with.as_ref());
                quote!({ let mut value = ::core::default::Default::default(); #change value })
            }
        };
        Ok(quote!(#place: #value))
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Ok(quote! { Ok(#path { #(#fields),* }) })
}

/// The default of a type with those fields that are there.
fn changed(fields: &FieldsNamed) -> Result<Code> {
    let fields = fields.named.iter().map(|field| {
        let (place, name, marks) = described(field)?;
        Ok(change(&name, &quote!(value.#place), marks.with.as_ref()))
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Ok(quote! { let mut value = <Self as ::core::default::Default>::default(); #(#fields)* Ok(value) })
}

/// Puts a field that is there into its place.
fn change(name: &str, place: &Code, with: Option<&Path>) -> Code {
    match with {
        None => quote!(fields.change(#name, &mut #place)?;),
        Some(with) => quote!(fields.change_by(#name, &mut #place, #with::from_tree)?;),
    }
}

/// A variant, by its name.
fn chosen(name: &Ident, data: &DataEnum, marks: &Marks) -> Result<Code> {
    let names = data.variants.iter().map(|variant| marks.case.name(&variant.ident));
    let arms = data.variants.iter().enumerate().map(|(index, variant)| {
        let path = &variant.ident;
        let value = match &variant.fields {
            Fields::Unit => quote!(variant.empty().map(|()| Self::#path)),
            Fields::Named(fields) => {
                let build = built(quote!(Self::#path), fields)?;
                quote!({ let fields = variant.fields()?; #build })
            }
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => quote!(variant.content().map(Self::#path)),
            other => return Err(Error::new_spanned(other, "several fields need names")),
        };
        Ok(quote!(#index => #value,))
    });
    let arms = arms.collect::<Result<Vec<_>>>()?;
    let name = name.to_string();
    Ok(quote! {
        let variant = ::engine::tree::Variant::of(tree, #name, &[#(#names),*])?;
        match variant.index { #(#arms)* _ => Err(variant.unknown()) }
    })
}

/// A field's place, its name and what its attributes say.
fn described(field: &Field) -> Result<(&Ident, String, Marks)> {
    let place = field.ident.as_ref().ok_or_else(|| Error::new_spanned(field, "a field without a name"))?;
    Ok((place, place.to_string(), Marks::of(&field.attrs)?))
}

/// What serde's attributes say.
#[derive(Default)]
struct Marks {
    case: Case,
    default: bool,
    transparent: bool,
    with: Option<Path>,
}

impl Marks {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut marks = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("default") && !meta.input.peek(Token![=]) {
                    marks.default = true;
                } else if meta.path.is_ident("transparent") {
                    marks.transparent = true;
                } else if meta.path.is_ident("with") {
                    marks.with = Some(meta.value()?.parse::<LitStr>()?.parse()?);
                } else if meta.path.is_ident("rename_all") {
                    marks.case = Case::of(&meta.value()?.parse()?)?;
                } else {
                    let text = meta.path.to_token_stream();
                    return Err(meta.error(format_args!("FromTree does not know {text}")));
                }
                Ok(())
            })?;
        }
        Ok(marks)
    }
}

/// How variants are written.
#[derive(Default)]
enum Case {
    #[default]
    AsDeclared,
    Lower,
    Snake,
}

impl Case {
    fn of(name: &LitStr) -> Result<Self> {
        match name.value().as_str() {
            "lowercase" => Ok(Self::Lower),
            "snake_case" => Ok(Self::Snake),
            _ => Err(Error::new_spanned(name, "FromTree does not know this case")),
        }
    }

    fn name(&self, variant: &Ident) -> String {
        let declared = variant.to_string();
        match self {
            Self::AsDeclared => declared,
            Self::Lower => declared.to_ascii_lowercase(),
            Self::Snake => {
                let mut name = String::new();
                for letter in declared.chars() {
                    if letter.is_ascii_uppercase() && !name.is_empty() {
                        name.push('_');
                    }
                    name.push(letter.to_ascii_lowercase());
                }
                name
            }
        }
    }
}
