//! Function signatures, and the code that registers a function.

use proc_macro::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};

use crate::template::{Error, fill};

/// A function that is to handle a system call.
pub struct Function {
    name: TokenTree,
    /// An own number, when the architecture's table does not have the call.
    number: Option<TokenTree>,
    parameters: Vec<Parameter>,
    never_returns: bool,
}

struct Parameter {
    name: String,
    kind: TokenStream,
    /// The type that it is printed as.
    shown: TokenStream,
}

impl Function {
    pub fn parse(options: TokenStream, function: TokenStream) -> Result<Self, Error> {
        let number = number(options)?;
        let mut tokens = function.into_iter();
        let keyword = tokens.by_ref().find(|t| is_ident(t, "fn"));
        let Some((_, name)) = keyword.zip(tokens.next()) else {
            return Err(Error::new(Span::call_site(), "#[syscall] belongs on a function"));
        };
        let parameters = match tokens.next() {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                parameters(group.stream())?
            }
            _ => {
                return Err(Error::new(name.span(), "a system call's handler cannot be generic"));
            }
        };
        let result: Vec<TokenTree> = tokens
            .take_while(|t| !matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace))
            .collect();
        // `-> !`, which is no type that could implement a trait.
        let never_returns = matches!(&result[..], [_, _, only] if is_punct(only, '!'));
        Ok(Self { name, number, parameters, never_returns })
    }

    /// The exported entry and the registered description.
    pub fn registration(&self) -> TokenStream {
        let name = self.name.to_string();
        let plain_name = name.trim_start_matches("r#");
        let number = match &self.number {
            Some(number) => number.to_string(),
            None => "::syscall_shim::nr::__name".to_owned(),
        };
        let mut holes = vec![
            ("__name".to_owned(), TokenStream::from(self.name.clone())),
            ("__number".to_owned(), number.parse().unwrap_or_default()),
        ];
        let mut takes = String::new();
        let mut traces = String::new();
        let mut place = "0".to_owned();
        let mut checks = String::new();
        for (index, parameter) in self.parameters.iter().enumerate() {
            let hole = format!("__type{index}");
            let shown = format!("__shown{index}");
            takes += &format!(
                "let x{index} = match unsafe {{ ::syscall_shim::take::<{hole}>(&words, {place}) }} {{
                    Ok(value) => value,
                    Err(error) => return error.to_raw(),
                }};"
            );
            traces += &format!(
                "::syscall_shim::Parameter {{
                    name: {:?},
                    trace: |words, result, out| unsafe {{
                        ::syscall_shim::trace::<{shown}>(words, {place}, result, out)
                    }},
                }},",
                parameter.name
            );
            checks += &format!(
                "const _: () = assert!(
                    ::syscall_shim::words::<{hole}>() == ::syscall_shim::words::<{shown}>(),
                    \"what a parameter is printed as has as many words\"
                );"
            );
            place += &format!(" + ::syscall_shim::words::<{hole}>()");
            holes.push((hole, parameter.kind.clone()));
            holes.push((shown, parameter.shown.clone()));
        }
        let given: String = (0..self.parameters.len()).map(|i| format!("x{i},")).collect();
        let call = if self.never_returns {
            format!("__name({given})")
        } else {
            format!("::syscall_shim::Outcome::raw(__name({given}))")
        };
        let returns = !self.never_returns;
        // The number's own hole is filled first: it may contain the name's.
        let text = format!(
            "const _: () = {{
                {checks}
                const _: () = assert!(
                    {place} <= ::syscall_shim::WORDS,
                    \"a system call has at most six words of arguments\"
                );
                #[unsafe(export_name = \"uk_sys_{plain_name}\")]
                unsafe extern \"C\" fn entry(
                    a: usize, b: usize, c: usize, d: usize, e: usize, f: usize,
                ) -> isize {{
                    // SAFETY: the words are what the caller of the entry gave.
                    unsafe {{
                        let words = ::syscall_shim::used::<{{ {place} }}>([a, b, c, d, e, f]);
                        ::syscall_shim::run(&CALL, handler, words)
                    }}
                }}
                unsafe extern \"C\" fn handler(
                    a: usize, b: usize, c: usize, d: usize, e: usize, f: usize,
                ) -> isize {{
                    let words = [a, b, c, d, e, f];
                    ::syscall_shim::once(&CALL, &words, || {{ {takes} {call} }})
                }}
                ::syscall_shim::__entry!(CALL, \"oxikraft_syscall_{plain_name}\");
                static CALL: ::syscall_shim::Syscall = ::syscall_shim::Syscall {{
                    number: __number,
                    name: {plain_name:?},
                    library: env!(\"CARGO_PKG_NAME\"),
                    returns: {returns},
                    entry,
                    handler,
                    parameters: ::syscall_shim::__parameters!({traces}),
                }};
            }};"
        );
        let text = text.replace("__number", &number);
        match text.parse() {
            Ok(tokens) => fill(tokens, &holes),
            Err(_) => Error::new(self.name.span(), "this function cannot be a system call")
                .at_compile_time(TokenStream::new()),
        }
    }
}

/// `nr = N` or nothing.
fn number(options: TokenStream) -> Result<Option<TokenTree>, Error> {
    let tokens: Vec<TokenTree> = options.into_iter().collect();
    match &tokens[..] {
        [] => Ok(None),
        [key, equals, number @ TokenTree::Literal(_)]
            if is_ident(key, "nr") && is_punct(equals, '=') =>
        {
            Ok(Some(number.clone()))
        }
        [first, ..] => Err(Error::new(
            first.span(),
            "write #[syscall], or #[syscall(nr = 500)] for an own number",
        )),
    }
}

fn parameters(list: TokenStream) -> Result<Vec<Parameter>, Error> {
    split_at_commas(list)
        .into_iter()
        .map(|tokens| {
            let colon = tokens.iter().position(is_single_colon);
            let Some(colon) = colon else {
                return Err(Error::new(tokens[0].span(), "a parameter is `name: type`"));
            };
            let Some(TokenTree::Ident(name)) = colon.checked_sub(1).map(|i| &tokens[i]) else {
                return Err(Error::new(tokens[0].span(), "a parameter is `name: type`"));
            };
            let name = name.to_string().trim_start_matches("_").to_owned();
            let kind: TokenStream = tokens[colon + 1..].iter().cloned().collect();
            let shown = tokens.windows(2).find_map(trace_attribute);
            Ok(Parameter { name, shown: shown.unwrap_or_else(|| kind.clone()), kind })
        })
        .collect()
}

/// The type in `#[trace(TYPE)]`, which a value is printed as.
pub fn trace_attribute(pair: &[TokenTree]) -> Option<TokenStream> {
    let [hash, TokenTree::Group(attribute)] = pair else { return None };
    let inside: Vec<TokenTree> = attribute.stream().into_iter().collect();
    match &inside[..] {
        [name, TokenTree::Group(kind)] if is_punct(hash, '#') && is_ident(name, "trace") => {
            Some(kind.stream())
        }
        _ => None,
    }
}

/// A function without the attributes of its parameters that are for this macro.
pub fn without_trace_attributes(function: TokenStream) -> TokenStream {
    let mut parameters_left = true;
    function
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(list)
                if parameters_left && list.delimiter() == Delimiter::Parenthesis =>
            {
                parameters_left = false;
                let mut kept = Group::new(Delimiter::Parenthesis, strip(list.stream()));
                kept.set_span(list.span());
                kept.into()
            }
            other => other,
        })
        .collect()
}

fn strip(list: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = list.into_iter().collect();
    let is_trace = |at: usize| tokens.get(at..at + 2).and_then(trace_attribute).is_some();
    let kept = |at: &usize| !is_trace(*at) && !at.checked_sub(1).is_some_and(is_trace);
    (0..tokens.len()).filter(kept).map(|at| tokens[at].clone()).collect()
}

/// The pieces between commas that are not inside of `<…>`.
pub fn split_at_commas(list: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut pieces = vec![Vec::new()];
    let mut depth = 0;
    let mut arrow = false;
    for token in list {
        if is_punct(&token, ',') && depth == 0 {
            pieces.push(Vec::new());
            continue;
        }
        if is_punct(&token, '<') {
            depth += 1;
        } else if is_punct(&token, '>') && !arrow {
            depth -= 1;
        }
        arrow = is_punct(&token, '-');
        if let Some(last) = pieces.last_mut() {
            last.push(token);
        }
    }
    pieces.retain(|p| !p.is_empty());
    pieces
}

/// A `:` that is not half of `::`.
pub fn is_single_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == ':' && p.spacing() == Spacing::Alone)
}

pub fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == name)
}

pub fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}
