//! Tokens into a checked tree.

use super::{
    Filter, FilterError, FilterWarning, Node, Operator, Test,
    error::Problem,
    lexer::{Lexer, Placed, Token},
    literal::{Literal, Misfit, shown},
};
use crate::{Attribute, LogType, UnknownAttribute, spelling::nearest};

/// Reads a whole filter.
pub(super) fn parse(text: &str, log_type: LogType) -> Result<(Node, Vec<FilterWarning>), Vec<FilterError>> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.eq_ignore_ascii_case("all logs") {
        return Ok((Node::All, Vec::new()));
    }
    if text.chars().nth(Filter::MAX_CHARS).is_some() {
        return Err(vec![FilterError {
            column: Filter::MAX_CHARS,
            problem: Problem::TooLong,
            nearest: None,
        }]);
    }
    let mut parser = Parser::new(text, log_type);
    let root = parser.whole();
    match root {
        Ok(root) if parser.errors.is_empty() => Ok((root, parser.warnings)),
        Ok(_) => Err(parser.errors),
        Err(error) => {
            parser.errors.push(error);
            Err(parser.errors)
        }
    }
}

/// Whether a word joins or negates comparisons and so must be quoted where it is a value.
pub(super) fn is_keyword(word: &str) -> bool {
    ["and", "or", "not"]
        .iter()
        .any(|keyword| keyword.eq_ignore_ascii_case(word))
}

const END: &str = "`and`, `or` or the end of the filter (a value with blanks needs quotes)";
const CLOSE: &str = "`and`, `or` or `)` (a value with blanks needs quotes)";

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that comes next.
    next: Placed<'a>,
    log_type: LogType,
    depth: usize,
    /// What is wrong without breaking the grammar.
    errors: Vec<FilterError>,
    warnings: Vec<FilterWarning>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, log_type: LogType) -> Self {
        let mut lexer = Lexer::new(text);
        let next = lexer.next();
        Self {
            lexer,
            next,
            log_type,
            depth: 0,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn whole(&mut self) -> Result<Node, FilterError> {
        let root = self.or()?;
        if self.next.token == Token::End {
            return Ok(root);
        }
        Err(self.expected(END))
    }

    fn or(&mut self) -> Result<Node, FilterError> {
        let mut parts = vec![self.and()?];
        while self.take_keyword("or") {
            parts.push(self.and()?);
        }
        Ok(join(parts, Node::Or, |node| {
            if let Node::Or(parts) = node {
                Ok(parts)
            } else {
                Err(node)
            }
        }))
    }

    fn and(&mut self) -> Result<Node, FilterError> {
        let mut parts = vec![self.not()?];
        while self.take_keyword("and") {
            parts.push(self.not()?);
        }
        Ok(join(parts, Node::And, |node| {
            if let Node::And(parts) = node {
                Ok(parts)
            } else {
                Err(node)
            }
        }))
    }

    fn not(&mut self) -> Result<Node, FilterError> {
        if self.next.token != Token::Bang && !self.at_keyword("not") {
            return self.primary();
        }
        self.deeper()?;
        self.advance();
        let inner = self.not()?;
        self.depth -= 1;
        Ok(Node::Not(Box::new(inner)))
    }

    fn primary(&mut self) -> Result<Node, FilterError> {
        match self.next.token {
            Token::Open => {
                self.deeper()?;
                self.advance();
                let inner = self.or()?;
                if self.next.token != Token::Close {
                    return Err(self.expected(CLOSE));
                }
                self.advance();
                self.depth -= 1;
                Ok(inner)
            }
            Token::Word(name) if !is_keyword(name) => self.test(name),
            Token::Word(_)
            | Token::Quoted(_)
            | Token::Unclosed(_)
            | Token::Close
            | Token::Bang
            | Token::End => Err(self.expected("a field, `not` or `(`")),
        }
    }

    fn test(&mut self, name: &str) -> Result<Node, FilterError> {
        let name_column = self.next.column;
        self.advance();
        let operator_column = self.next.column;
        let operator = self.operator()?;
        let value_column = self.next.column;
        let text = match self.next.token {
            Token::Word(word) if !is_keyword(word) => word,
            Token::Quoted(text) => text,
            Token::Word(_) | Token::Unclosed(_) | Token::Open | Token::Close | Token::Bang | Token::End => {
                return Err(self.expected("a value (`and`, `or` and `not` need quotes)"));
            }
        };
        self.advance();

        let attribute = match Attribute::resolve(name, self.log_type) {
            Ok(attribute) => attribute,
            Err(error) => {
                let nearest = match &error {
                    UnknownAttribute::Unknown { nearest, .. }
                    | UnknownAttribute::OtherType { nearest, .. } => *nearest,
                    UnknownAttribute::NotSupported { .. } => None,
                };
                self.report(name_column, error.into(), nearest.map(str::to_owned));
                return Ok(Node::All);
            }
        };
        if name.contains("dag") {
            self.warn(
                name_column,
                format!("`{name}` is compared with the tags of the address; records do not hold the names of groups"),
            );
        }
        let operators = attribute.operators(self.log_type);
        if !operators.contains(&operator) {
            let problem = Problem::Operator {
                attribute: attribute.name().to_owned(),
                operator,
                operators,
            };
            self.report(operator_column, problem, None);
            return Ok(Node::All);
        }
        match Literal::read(text, attribute, operator, self.log_type) {
            Ok((literal, right)) => {
                if let Some(right) = right {
                    self.warn(
                        value_column,
                        format!("`{text}` is taken for `{right}`; write it so"),
                    );
                }
                Ok(Node::Test(Test {
                    attribute,
                    operator,
                    literal,
                }))
            }
            Err(Misfit { problem, nearest }) => {
                self.report(value_column, problem, nearest);
                Ok(Node::All)
            }
        }
    }

    fn operator(&mut self) -> Result<Operator, FilterError> {
        let expected = "an operator (eq, neq, leq, geq, in, notin or contains)";
        let Token::Word(word) = self.next.token else {
            return Err(self.expected(expected));
        };
        if let Some(operator) = Operator::from_name(&word.to_ascii_lowercase()) {
            self.advance();
            return Ok(operator);
        }
        let mut error = self.expected(expected);
        error.nearest = match word {
            "=" | "==" | "is" | "equals" => Some("eq".to_owned()),
            "!=" | "<>" => Some("neq".to_owned()),
            "<=" => Some("leq".to_owned()),
            ">=" => Some("geq".to_owned()),
            _ => nearest(word, Operator::NAMES.iter().copied()).map(str::to_owned),
        };
        Err(error)
    }

    fn advance(&mut self) {
        self.next = self.lexer.next();
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.next.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let there = self.at_keyword(keyword);
        if there {
            self.advance();
        }
        there
    }

    fn deeper(&mut self) -> Result<(), FilterError> {
        self.depth += 1;
        if self.depth > Filter::MAX_DEPTH {
            return Err(FilterError {
                column: self.next.column,
                problem: Problem::TooDeep,
                nearest: None,
            });
        }
        Ok(())
    }

    fn expected(&self, expected: &'static str) -> FilterError {
        let problem = match self.next.token {
            Token::Unclosed(quote) => Problem::UnclosedQuote(quote),
            Token::End => found(expected, "the end".to_owned()),
            Token::Open => found(expected, "`(`".to_owned()),
            Token::Close => found(expected, "`)`".to_owned()),
            Token::Bang => found(expected, "`!`".to_owned()),
            Token::Word(word) => found(expected, format!("`{}`", shown(word))),
            Token::Quoted(text) => found(expected, format!("'{}'", shown(text))),
        };
        FilterError {
            column: self.next.column,
            problem,
            nearest: None,
        }
    }

    fn report(&mut self, column: usize, problem: Problem, nearest: Option<String>) {
        self.errors.push(FilterError {
            column,
            problem,
            nearest,
        });
    }

    fn warn(&mut self, column: usize, message: String) {
        self.warnings.push(FilterWarning { column, message });
    }
}

fn found(expected: &'static str, found: String) -> Problem {
    Problem::Expected { expected, found }
}

/// One node of several parts; parts of the same kind become parts of it.
fn join(parts: Vec<Node>, kind: fn(Vec<Node>) -> Node, split: fn(Node) -> Result<Vec<Node>, Node>) -> Node {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match split(part) {
            Ok(inner) => flat.extend(inner),
            Err(part) => flat.push(part),
        }
    }
    if flat.len() == 1 {
        return flat.swap_remove(0);
    }
    kind(flat)
}
