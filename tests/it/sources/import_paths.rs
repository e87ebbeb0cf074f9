//! Extracts the paths from a source text. Knows as much of the grammar as imports need.

/// A path in a source text, in a `use` or anywhere else.
pub(super) struct Import {
    segments: Vec<String>,
    /// The number of modules within the file that enclose it.
    depth: usize,
}

impl Import {
    pub(super) fn path(&self) -> String {
        self.segments.join("::")
    }

    /// Returns the path from the crate root, in a file that is the module `module`. `None` if the path begins
    /// with neither `crate` nor `super`, or does not leave the file.
    pub(super) fn within_crate(&self, module: &[String]) -> Option<Vec<String>> {
        if self.segments.first()? == "crate" {
            return Some(self.segments[1..].to_vec());
        }
        let supers = self.segments.iter().take_while(|segment| *segment == "super").count();
        let base = (module.len() + self.depth).checked_sub(supers)?;
        if supers == 0 || base > module.len() {
            return None;
        }
        Some([&module[..base], &self.segments[supers..]].concat())
    }
}

/// Returns every path of more than one segment and every import, without the scopes of `pub(in path)`.
pub(super) fn imports(text: &str) -> Vec<Import> {
    Reader { tokens: tokens(text), at: 0, braces: Vec::new(), found: Vec::new() }.read()
}

struct Reader {
    tokens: Vec<String>,
    at: usize,
    /// For each open brace, whether it is that of a module.
    braces: Vec<bool>,
    found: Vec<Import>,
}

impl Reader {
    fn read(mut self) -> Vec<Import> {
        while let Some(token) = self.peek(0) {
            match token {
                "use" if !self.is_capture_list() => {
                    self.at += 1;
                    self.tree(&mut Vec::new());
                }
                "mod" if self.peek(2) == Some("{") => {
                    self.braces.push(true);
                    self.at += 3;
                }
                "{" => {
                    self.braces.push(false);
                    self.at += 1;
                }
                "}" => {
                    self.braces.pop();
                    self.at += 1;
                }
                "(" if self.peek(1) == Some("in") => self.visibility(),
                token if is_name(token) => self.path(),
                _ => self.at += 1,
            }
        }
        self.found
    }

    /// Whether this `use` is the `use<..>` of an `impl Trait`, which lists what the type captures.
    fn is_capture_list(&self) -> bool {
        self.peek(1) == Some("<")
    }

    /// Reads a tree of imports below `prefix`.
    fn tree(&mut self, prefix: &mut Vec<String>) {
        let outer = prefix.len();
        loop {
            match self.peek(0) {
                Some("::") => self.at += 1,
                Some("{") => {
                    self.at += 1;
                    while !matches!(self.peek(0), Some("}") | None) {
                        self.tree(prefix);
                        if self.peek(0) == Some(",") {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                Some("as") => self.at += 2,
                Some(token) if is_name(token) || token == "*" => {
                    // `self` in a group stands for the path before the group.
                    if token != "self" || prefix.is_empty() {
                        prefix.push(token.to_owned());
                    }
                    self.at += 1;
                    if !matches!(self.peek(0), Some("::")) {
                        self.record(prefix.clone());
                    }
                }
                _ => break,
            }
        }
        prefix.truncate(outer);
    }

    /// Skips the scope of a `pub(in path)`.
    fn visibility(&mut self) {
        while !matches!(self.peek(0), Some(")") | None) {
            self.at += 1;
        }
    }

    /// Reads a path outside an import.
    fn path(&mut self) {
        let mut segments = vec![self.tokens[self.at].clone()];
        self.at += 1;
        while let (Some("::"), Some(next)) = (self.peek(0), self.peek(1)) {
            if !is_name(next) {
                break;
            }
            segments.push(next.to_owned());
            self.at += 2;
        }
        if segments.len() > 1 {
            self.record(segments);
        }
    }

    fn record(&mut self, segments: Vec<String>) {
        let depth = self.braces.iter().filter(|is_module| **is_module).count();
        self.found.push(Import { segments, depth });
    }

    fn peek(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead).map(String::as_str)
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits a text into names, `::` and single characters. Drops comments, strings and characters in quotes.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let length = quoted(rest).or_else(|| comment(rest));
        if let Some(length) = length {
            at += length;
            continue;
        }
        let length = match rest {
            [first, ..] if first.is_alphanumeric() || *first == '_' => {
                rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count()
            }
            [':', ':', ..] => 2,
            _ => 1,
        };
        if !rest[0].is_whitespace() {
            tokens.push(rest[..length].iter().collect());
        }
        at += length;
    }
    tokens
}

/// Returns the length of the comment at the start of `text`.
fn comment(text: &[char]) -> Option<usize> {
    match text {
        ['/', '/', ..] => Some(text.iter().take_while(|c| **c != '\n').count()),
        ['/', '*', ..] => {
            let (mut at, mut depth) = (0, 0);
            while at < text.len() {
                match text[at..] {
                    ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
                    ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
                    _ => at += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            Some(at)
        }
        _ => None,
    }
}

/// Returns the length of the string, raw string or character literal at the start of `text`. A lifetime is
/// none of these.
fn quoted(text: &[char]) -> Option<usize> {
    let closed = |quote: char| {
        let mut at = 1;
        while at < text.len() && text[at] != quote {
            at += if text[at] == '\\' { 2 } else { 1 };
        }
        at + 1
    };
    match text {
        ['"', ..] => Some(closed('"')),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => Some(closed('\'')),
        ['r', '"' | '#', ..] => {
            let hashes = text[1..].iter().take_while(|c| **c == '#').count();
            let body = text.get(hashes + 2..)?;
            if text[hashes + 1] != '"' {
                // A raw identifier, such as `r#type`.
                return None;
            }
            let is_end = |at: &usize| {
                body[*at] == '"'
                    && body[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
            };
            let end = (0..body.len()).find(is_end)?;
            Some(hashes + 2 + end + 1 + hashes)
        }
        _ => None,
    }
}
