//! `derive(Plain)`.

use proc_macro::{Delimiter, Group, Span, TokenStream, TokenTree};

use crate::item::{is_ident, is_punct, is_single_colon, split_at_commas};
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
    for (index, kind) in field_types(fields).into_iter().enumerate() {
        let hole = format!("__type{index}");
        sum += &format!(" + ::syscall_shim::plain::<{hole}>()");
        holes.push((hole, kind));
    }
    let text = format!(
        "unsafe impl ::syscall_shim::Plain for __name {{}}
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

fn field_types(fields: &Group) -> Vec<TokenStream> {
    split_at_commas(fields.stream())
        .into_iter()
        .map(|field| {
            let start = if fields.delimiter() == Delimiter::Brace {
                field.iter().position(is_single_colon).map_or(0, |i| i + 1)
            } else {
                // Attributes and visibility of an unnamed field come before its type.
                let mut start = 0;
                while field.get(start).is_some_and(|t| is_punct(t, '#')) {
                    start += 2;
                }
                if field.get(start).is_some_and(|t| is_ident(t, "pub")) {
                    start += 1;
                    let restricted =
                        |t: &TokenTree| matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Parenthesis);
                    start += usize::from(field.get(start).is_some_and(restricted));
                }
                start
            };
            field[start..].iter().cloned().collect()
        })
        .collect()
}
