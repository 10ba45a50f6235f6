//! Text into words, quotes and parentheses, each with its column.

/// What stands at a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    /// `!`
    Bang,
    /// Without quotes.
    Word(&'a str),
    /// What lay between quotes.
    Quoted(&'a str),
    /// A quote that is not closed.
    Unclosed(char),
    End,
}

/// A token and where it begins, in characters from 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) token: Token<'a>,
    pub(super) column: usize,
}

/// Reads tokens from the left.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            column: 0,
        }
    }

    pub(super) fn next(&mut self) -> Placed<'a> {
        let blanks = self
            .rest
            .find(|c: char| !c.is_whitespace())
            .unwrap_or(self.rest.len());
        self.take(blanks);
        let column = self.column;
        let token = match self.rest.chars().next() {
            None => Token::End,
            Some('(') => {
                self.take(1);
                Token::Open
            }
            Some(')') => {
                self.take(1);
                Token::Close
            }
            Some('!') => {
                self.take(1);
                Token::Bang
            }
            Some(quote @ ('\'' | '"')) => {
                self.take(1);
                if let Some(length) = self.rest.find(quote) {
                    let text = self.take(length);
                    self.take(1);
                    Token::Quoted(text)
                } else {
                    self.take(self.rest.len());
                    Token::Unclosed(quote)
                }
            }
            Some(_) => {
                let length = self.rest.find(ends_word).unwrap_or(self.rest.len());
                Token::Word(self.take(length))
            }
        };
        Placed { token, column }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.column += taken.chars().count();
        self.rest = rest;
        taken
    }
}

fn ends_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, '(' | ')')
}

/// Whether text is read back as one word when written without quotes.
pub(super) fn is_word(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    lexer.next().token == Token::Word(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
        let mut lexer = Lexer::new(text);
        let mut all = Vec::new();
        loop {
            let placed = lexer.next();
            if placed.token == Token::End {
                return all;
            }
            all.push((placed.column, placed.token));
        }
    }

    #[test]
    fn places_every_token() {
        assert_eq!(
            tokens("(a.b eq 'x y') and !(c in 10.0.0.0/8)"),
            [
                (0, Token::Open),
                (1, Token::Word("a.b")),
                (5, Token::Word("eq")),
                (8, Token::Quoted("x y")),
                (13, Token::Close),
                (15, Token::Word("and")),
                (19, Token::Bang),
                (20, Token::Open),
                (21, Token::Word("c")),
                (23, Token::Word("in")),
                (26, Token::Word("10.0.0.0/8")),
                (36, Token::Close),
            ]
        );
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(tokens("'äö' ü x")[1], (5, Token::Word("ü")));
        assert_eq!(tokens("'äö' ü x")[2], (7, Token::Word("x")));
        assert_eq!(tokens("  'open"), [(2, Token::Unclosed('\''))]);
        assert_eq!(
            tokens("\"a'b\" it's"),
            [(0, Token::Quoted("a'b")), (6, Token::Word("it's"))]
        );
    }
}
