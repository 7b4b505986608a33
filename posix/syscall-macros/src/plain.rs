//! `derive(Plain)`.

use proc_macro::{Delimiter, Group, Span, TokenStream, TokenTree};

use crate::item::{is_ident, is_punct, is_single_colon, split_at_commas, trace_attribute};
use crate::template::{Error, fill};

pub fn implementation(structure: TokenStream) -> Result<TokenStream, Error> {
    let tokens: Vec<TokenTree> = structure.into_iter().collect();
    if !tokens.windows(2).any(has_fixed_layout) {
        return Err(Error::new(Span::call_site(), "a plain structure needs #[repr(C)]"));
    }
    let keyword = tokens.iter().position(|t| is_ident(t, "struct"));
    let Some(keyword) = keyword else {
        return Err(Error::new(Span::call_site(), "only structures can be plain"));
    };
    let (name, fields) = match &tokens[keyword + 1..] {
        [name, TokenTree::Group(fields), ..] => (name, fields),
        _ => {
            return Err(Error::new(
                tokens[keyword].span(),
                "a plain structure has fields and no parameters",
            ));
        }
    };
    let mut holes = vec![("__name".to_owned(), TokenStream::from(name.clone()))];
    let mut sum = "0".to_owned();
    let mut traces = String::new();
    let mut shown = 0;
    for (index, field) in fields_of(fields).into_iter().enumerate() {
        let hole = format!("__type{index}");
        sum += &format!(" + ::syscall_shim::plain::<{hole}>()");
        holes.push((hole, field.kind));
        let hidden = field.shown.as_ref().is_some_and(|kind| kind.to_string() == "_");
        if hidden || field.name.starts_with('_') {
            continue;
        }
        let comma = if shown > 0 { ", " } else { "" };
        shown += 1;
        traces += &match fields.delimiter() {
            Delimiter::Brace => format!("out.write_str(\"{comma}{}=\")?;", field.name),
            _ => format!("out.write_str({comma:?})?;"),
        };
        traces += &match field.shown {
            Some(kind) => {
                let hole = format!("__shown{index}");
                holes.push((hole.clone(), kind));
                format!(
                    "::syscall_shim::trace_scalar::<{hole}>(self.{} as usize, out)?;",
                    field.name
                )
            }
            None => format!("::syscall_shim::Plain::trace(&self.{}, out)?;", field.name),
        };
    }
    let text = format!(
        "unsafe impl ::syscall_shim::Plain for __name {{
            fn trace(&self, out: &mut dyn ::core::fmt::Write) -> ::core::fmt::Result {{
                out.write_str(\"{{\")?;
                {traces}
                out.write_str(\"}}\")
            }}
        }}
        const _: () = assert!(
            size_of::<__name>() == {sum},
            \"a plain structure has no padding: name it as fields\"
        );"
    );
    text.parse()
        .map(|tokens| fill(tokens, &holes))
        .map_err(|_| Error::new(name.span(), "this structure cannot be plain"))
}

/// `#[repr(C)]` or `#[repr(transparent)]`.
fn has_fixed_layout(pair: &[TokenTree]) -> bool {
    let [hash, TokenTree::Group(attribute)] = pair else { return false };
    let inside: Vec<TokenTree> = attribute.stream().into_iter().collect();
    let [name, TokenTree::Group(layout)] = &inside[..] else { return false };
    let fixed = |t: TokenTree| is_ident(&t, "C") || is_ident(&t, "transparent");
    is_punct(hash, '#') && is_ident(name, "repr") && layout.stream().into_iter().any(fixed)
}

struct Field {
    name: String,
    kind: TokenStream,
    /// The type that it is printed as, if that is another.
    shown: Option<TokenStream>,
}

fn fields_of(fields: &Group) -> Vec<Field> {
    split_at_commas(fields.stream())
        .into_iter()
        .enumerate()
        .map(|(index, field)| {
            let shown = field.windows(2).find_map(trace_attribute);
            let colon = field.iter().position(is_single_colon);
            let (name, start) = match colon.filter(|_| fields.delimiter() == Delimiter::Brace) {
                Some(colon) => (field[colon - 1].to_string(), colon + 1),
                None => (index.to_string(), unnamed_start(&field)),
            };
            Field { name, kind: field[start..].iter().cloned().collect(), shown }
        })
        .collect()
}

/// Where the type of an unnamed field is: attributes and visibility come before it.
fn unnamed_start(field: &[TokenTree]) -> usize {
    let mut start = 0;
    while field.get(start).is_some_and(|t| is_punct(t, '#')) {
        start += 2;
    }
    if field.get(start).is_some_and(|t| is_ident(t, "pub")) {
        start += 1;
        let restricted = |t: &TokenTree| matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Parenthesis);
        start += usize::from(field.get(start).is_some_and(restricted));
    }
    start
}
