//! Fields of `config.json` that make a model compute something else than a LLaMA does.
//!
//! A field that is passed over in silence gives a model that runs and answers nonsense, so each of
//! these is refused by its name unless it changes nothing.

use serde_json::{Map, Value};

/// Model types that are computed as LLaMA is.
const TYPES: [&str; 4] = ["llama", "locllm", "mistral", "vicuna"];

/// Names of the activation between the layers of the MLP.
const ACTIVATIONS: [&str; 2] = ["silu", "swish"];

/// Fields that multiply or divide something, which do nothing as 1 (Granite, Cohere, MiniCPM).
const FACTORS: [&str; 7] = [
    "embedding_multiplier",
    "residual_multiplier",
    "logits_scaling",
    "logit_scale",
    "scale_emb",
    "scale_depth",
    "partial_rotary_factor",
];

/// Fields that do nothing where they are false, zero or absent.
const SWITCHES: [&str; 8] = [
    "attention_bias",
    "mlp_bias",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "query_pre_attn_scalar",
    "num_local_experts",
    "use_qk_norm",
    "alibi",
];

/// Says which field is foreign, with its value.
pub(super) fn check(object: &Map<String, Value>, head_dim: usize) -> Result<(), String> {
    let is_foreign = |(name, value): &(&String, &Value)| {
        !value.is_null() && !changes_nothing(name, value, head_dim)
    };
    match object.iter().find(is_foreign) {
        None => Ok(()),
        Some((name, value)) => Err(format!(
            "`{name}` is {value}, which a model of the LLaMA family has not; such a model would \
             run here and answer wrongly"
        )),
    }
}

fn changes_nothing(name: &str, value: &Value, head_dim: usize) -> bool {
    let is = |neutral: f64| {
        let number = value.as_f64();
        number.is_some_and(|number| (number / neutral - 1.0).abs() < 1e-6)
    };
    let one_of = |names: &[&str]| value.as_str().is_some_and(|text| names.contains(&text));
    match name {
        "model_type" => one_of(&TYPES),
        "hidden_act" | "hidden_activation" => one_of(&ACTIVATIONS),
        "attention_multiplier" => is((head_dim as f64).powf(-0.5)),
        name if FACTORS.contains(&name) => is(1.0),
        name if SWITCHES.contains(&name) => {
            value.as_bool() == Some(false) || value.as_f64() == Some(0.0)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(field: Value) -> Option<String> {
        check(field.as_object().unwrap(), 64).err()
    }

    #[test]
    fn foreign_fields_are_named() {
        for (field, name) in [
            (json!({"model_type": "gemma"}), "model_type"),
            (json!({"model_type": "granite"}), "model_type"),
            (json!({"hidden_act": "gelu"}), "hidden_act"),
            (
                json!({"hidden_activation": "gelu_pytorch_tanh"}),
                "hidden_activation",
            ),
            (
                json!({"partial_rotary_factor": 0.25}),
                "partial_rotary_factor",
            ),
            (
                json!({"embedding_multiplier": 12.0}),
                "embedding_multiplier",
            ),
            (
                json!({"attention_multiplier": 0.015625}),
                "attention_multiplier",
            ),
            (json!({"residual_multiplier": 0.22}), "residual_multiplier"),
            (json!({"logits_scaling": 8}), "logits_scaling"),
            (json!({"attention_bias": true}), "attention_bias"),
            (
                json!({"final_logit_softcapping": 30.0}),
                "final_logit_softcapping",
            ),
        ] {
            let message = refusal(field).unwrap_or_default();
            assert!(message.contains(&format!("`{name}`")), "{name}: {message}");
        }
    }

    #[test]
    fn fields_that_change_nothing_are_passed_over() {
        let llama = json!({
            "model_type": "llama", "hidden_act": "silu", "attention_bias": false,
            "partial_rotary_factor": 1.0, "logits_scaling": 1, "attention_multiplier": 0.125,
            "mlp_bias": false, "final_logit_softcapping": null, "torch_dtype": "float16",
        });
        assert_eq!(refusal(llama), None);
        assert_eq!(refusal(json!({})), None);
    }
}
