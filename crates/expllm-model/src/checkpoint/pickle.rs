//! A pickle reader that executes nothing.
//!
//! It knows the few operations with which `torch.save` writes a dictionary of tensors (the
//! opcodes are those of `pickletools` in CPython) and the constructors of a tensor and an ordered
//! dictionary. Any other name that a file wants to call is refused by that name.

use std::collections::HashMap;
use std::rc::Rc;

/// Objects inside objects; state dictionaries have about four levels.
const MAX_DEPTH: u32 = 32;

/// A value of the pickle.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A number whose value nothing here needs.
    Float,
    Text(Rc<str>),
    Tuple(Rc<Items>),
    List(Rc<Items>),
    Dict(Rc<Items>),
    Global(Global),
    /// Number format and key of a storage.
    Storage(Rc<(String, String)>),
    Tensor(Rc<PickledTensor>),
    /// The end of a stretch of arguments.
    Mark,
}

/// The members of a container; a dictionary alternates keys and values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Items {
    pub(super) values: Vec<Value>,
    depth: u32,
}

/// What a pickle may call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// A storage with this number format.
    StorageType(&'static str),
}

/// A tensor as its constructor was called.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PickledTensor {
    /// Number format, named as in safetensors.
    pub(super) format: String,
    /// Key of the storage.
    pub(super) storage: String,
    /// First number in the storage.
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) stride: Vec<i64>,
}

type Fault = String;

fn global(module: &str, name: &str) -> Result<Global, Fault> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch", "DoubleStorage") => Global::StorageType("F64"),
        ("torch", "FloatStorage") => Global::StorageType("F32"),
        ("torch", "HalfStorage") => Global::StorageType("F16"),
        ("torch", "BFloat16Storage") => Global::StorageType("BF16"),
        ("torch", "LongStorage") => Global::StorageType("I64"),
        ("torch", "IntStorage") => Global::StorageType("I32"),
        ("torch", "ShortStorage") => Global::StorageType("I16"),
        ("torch", "CharStorage") => Global::StorageType("I8"),
        ("torch", "ByteStorage") => Global::StorageType("U8"),
        _ => {
            return Err(format!(
                "the file wants to call {module}.{name}, which is not done here; \
                 save only the state_dict"
            ));
        }
    })
}

/// Reads a pickle to its end.
pub(super) fn parse(file: &[u8]) -> Result<Value, String> {
    let mut machine = Machine {
        rest: file,
        stack: Vec::new(),
        memo: HashMap::new(),
    };
    while let Some(opcode) = machine.byte() {
        if opcode == b'.' {
            return machine.pop();
        }
        machine.step(opcode)?;
    }
    Err("the pickle has no end; copy or download it again".into())
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl Value {
    fn depth(&self) -> u32 {
        match self {
            Self::Tuple(items) | Self::List(items) | Self::Dict(items) => items.depth,
            _ => 0,
        }
    }
}

impl Items {
    /// Deep nesting would overflow the stack when it is dropped, so it is refused.
    fn extend(&mut self, values: Vec<Value>) -> Result<(), Fault> {
        let deepest = values.iter().map(Value::depth).max().unwrap_or(0);
        self.depth = self.depth.max(deepest + 1);
        self.values.extend(values);
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} objects inside each other"));
        }
        Ok(())
    }

    fn of(values: Vec<Value>) -> Result<Rc<Self>, Fault> {
        let mut items = Self::default();
        items.extend(values)?;
        Ok(Rc::new(items))
    }
}

impl<'a> Machine<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or("the pickle ends inside a value; copy or download it again")?;
        self.rest = tail;
        Ok(head)
    }

    fn number(&mut self, bytes: usize) -> Result<u64, Fault> {
        let little = self.take(bytes)?.iter().rev();
        Ok(little.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Result<&'a str, Fault> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or("a name in the pickle has no end")?)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "a name in the pickle is not UTF-8".into())
    }

    fn text(&mut self, length_bytes: usize) -> Result<Value, Fault> {
        let length = usize::try_from(self.number(length_bytes)?).unwrap_or(usize::MAX);
        let text = std::str::from_utf8(self.take(length)?)
            .map_err(|_| "a text in the pickle is not UTF-8")?;
        Ok(Value::Text(text.into()))
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        match self.stack.pop() {
            None | Some(Value::Mark) => Err("the pickle takes a value that it never gave".into()),
            Some(value) => Ok(value),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Fault> {
        let mark = self.stack.iter().rposition(|value| *value == Value::Mark);
        let mark = mark.ok_or("the pickle ends a list that it never began")?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn push_tuple(&mut self, count: usize) -> Result<(), Fault> {
        let mut values = (0..count)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>, _>>()?;
        values.reverse();
        self.stack.push(Value::Tuple(Items::of(values)?));
        Ok(())
    }

    fn step(&mut self, opcode: u8) -> Result<(), Fault> {
        match opcode {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.stack.push(Value::Mark),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'}' => self.stack.push(Value::Dict(Rc::default())),
            b']' => self.stack.push(Value::List(Rc::default())),
            b')' => self.stack.push(Value::Tuple(Rc::default())),
            b't' => {
                let values = self.pop_to_mark()?;
                self.stack.push(Value::Tuple(Items::of(values)?));
            }
            0x85..=0x87 => self.push_tuple(usize::from(opcode - 0x84))?,
            b'a' => {
                let value = self.pop()?;
                self.add(vec![value])?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.add(vec![key, value])?;
            }
            b'e' | b'u' => {
                let values = self.pop_to_mark()?;
                self.add(values)?;
            }
            b'Q' => self.persistent()?,
            b'R' => self.call()?,
            // The state of an object: attributes of a dictionary, which hold no tensors.
            b'b' => drop(self.pop()?),
            _ => return self.step_value(opcode),
        }
        Ok(())
    }

    /// Numbers, texts, names and the memo.
    fn step_value(&mut self, opcode: u8) -> Result<(), Fault> {
        let value = match opcode {
            b'K' => Value::Int(self.number(1)?.cast_signed()),
            b'M' => Value::Int(self.number(2)?.cast_signed()),
            b'J' => Value::Int(i64::from((self.number(4)? as u32).cast_signed())),
            0x8a => {
                let bytes = self.number(1)? as usize;
                if bytes > 8 {
                    return Err("a number in the pickle is longer than 64 bits".into());
                }
                let unused = 64 - 8 * bytes as u32;
                let bits = self.number(bytes)?.checked_shl(unused).unwrap_or(0);
                Value::Int(bits.cast_signed().checked_shr(unused).unwrap_or(0))
            }
            b'G' => {
                self.take(8)?;
                Value::Float
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b'c' => {
                let module = self.line()?;
                Value::Global(global(module, self.line()?)?)
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => Value::Global(global(&module, &name)?),
                _ => return Err("a name in the pickle is no text".into()),
            },
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'q' => return self.memoise(Some(1)),
            b'r' => return self.memoise(Some(4)),
            0x94 => return self.memoise(None),
            other => return Err(format!("the pickle has the unknown operation {other:#04x}")),
        };
        self.stack.push(value);
        Ok(())
    }

    fn memoise(&mut self, key_bytes: Option<usize>) -> Result<(), Fault> {
        let key = match key_bytes {
            Some(bytes) => self.number(bytes)? as u32,
            None => self.memo.len() as u32,
        };
        let value = self
            .stack
            .last()
            .ok_or("the pickle keeps a value that it never gave")?;
        self.memo.insert(key, value.clone());
        Ok(())
    }

    fn recall(&mut self, key_bytes: usize) -> Result<Value, Fault> {
        let key = self.number(key_bytes)? as u32;
        let value = self.memo.get(&key).cloned();
        value.ok_or_else(|| "the pickle recalls a value that it never kept".into())
    }

    fn add(&mut self, values: Vec<Value>) -> Result<(), Fault> {
        match self.stack.last_mut() {
            Some(Value::Dict(items) | Value::List(items)) => {
                // PyTorch keeps a container in the memo while it is empty and fills it later;
                // copying a full one would let a small file ask for much memory.
                if items.values.is_empty() {
                    *items = Items::of(values)?;
                    return Ok(());
                }
                let own = Rc::get_mut(items);
                own.ok_or("the pickle changes a container that it has used")?
                    .extend(values)
            }
            _ => Err("the pickle adds to something that is no container".into()),
        }
    }

    fn persistent(&mut self) -> Result<(), Fault> {
        let Value::Tuple(id) = self.pop()? else {
            return Err("a storage is not described by a tuple".into());
        };
        let [
            Value::Text(kind),
            Value::Global(Global::StorageType(format)),
            Value::Text(key),
            ..,
        ] = id.values.as_slice()
        else {
            return Err("a storage is not described as PyTorch does".into());
        };
        if &**kind != "storage" {
            return Err(format!("{kind:?} is stored outside the pickle"));
        }
        let storage = ((*format).to_owned(), key.to_string());
        self.stack.push(Value::Storage(Rc::new(storage)));
        Ok(())
    }

    fn call(&mut self) -> Result<(), Fault> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(function)) = (arguments, function) else {
            return Err("the pickle calls something that is no function".into());
        };
        let value = match (function, arguments.values.as_slice()) {
            (Global::OrderedDict, []) => Value::Dict(Rc::default()),
            (Global::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => tensor.clone(),
            (
                Global::RebuildTensor,
                [
                    Value::Storage(storage),
                    Value::Int(offset),
                    Value::Tuple(shape),
                    Value::Tuple(stride),
                    ..,
                ],
            ) => Value::Tensor(Rc::new(PickledTensor {
                format: storage.0.clone(),
                storage: storage.1.clone(),
                offset: *offset,
                shape: integers(shape)?,
                stride: integers(stride)?,
            })),
            (function, _) => return Err(format!("{function:?} is called with other arguments")),
        };
        self.stack.push(value);
        Ok(())
    }
}

fn integers(items: &Items) -> Result<Vec<i64>, Fault> {
    let integer = |value: &Value| match value {
        Value::Int(number) => Ok(*number),
        _ => Err("a shape holds something that is no number".to_owned()),
    };
    items.values.iter().map(integer).collect()
}

#[cfg(test)]
mod tests;
