//! Code from text with holes, and errors at the place that caused them.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// What is wrong, and where.
pub struct Error {
    pub span: Span,
    pub message: String,
}

impl Error {
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// The input, followed by `compile_error!` at the place.
    pub fn at_compile_time(self, input: TokenStream) -> TokenStream {
        let spanned = |mut token: TokenTree| {
            token.set_span(self.span);
            token
        };
        let message = spanned(Literal::string(&self.message).into());
        let arguments = Group::new(Delimiter::Parenthesis, message.into());
        let error = [
            Ident::new("compile_error", self.span).into(),
            spanned(Punct::new('!', Spacing::Alone).into()),
            spanned(arguments.into()),
            spanned(Punct::new(';', Spacing::Alone).into()),
        ];
        input.into_iter().chain(error).collect()
    }
}

/// Replaces each identifier that `holes` names. What comes from there keeps its place in the
/// source, so that errors in types are reported where they are written.
pub fn fill(text: TokenStream, holes: &[(String, TokenStream)]) -> TokenStream {
    text.into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                match holes.iter().find(|(hole, _)| *hole == name) {
                    Some((_, tokens)) => tokens.clone(),
                    None => TokenTree::Ident(ident).into(),
                }
            }
            TokenTree::Group(group) => {
                let mut filled = Group::new(group.delimiter(), fill(group.stream(), holes));
                filled.set_span(group.span());
                TokenTree::Group(filled).into()
            }
            other => other.into(),
        })
        .collect()
}
