//! The cases of the reference data set class, and what holds for any template.

use expllm_testing::shared;
use serde_json::Value;

use super::*;
use crate::tokenizer::testing::small;
use crate::{AddedToken, LlamaOptions};

#[test]
fn the_default_template_is_valid_and_round_trips() {
    let template = PromptTemplate::from_toml(include_str!("prompt.toml")).unwrap();
    assert_eq!(template, PromptTemplate::default());
    for task in Task::TRAINING_ORDER {
        assert!(
            template
                .question(task)
                .unwrap()
                .contains(&template.tasks[&task].question)
        );
    }
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(PromptTemplate::open(dir.path()).unwrap(), None);
    template.save(dir.path()).unwrap();
    assert_eq!(PromptTemplate::open(dir.path()).unwrap(), Some(template));
}

#[test]
fn prompts_end_open_and_hold_every_patch() {
    let template = PromptTemplate::default();
    let label = Turn::new(Task::Expression, "Happiness");
    let first = template.prompt(3, &[], Task::Expression).unwrap();
    let second = template.prompt(3, &[label], Task::Explanation).unwrap();
    for text in [&first, &second] {
        assert!(text.ends_with("ASSISTANT:"));
        assert_eq!(text.matches("<im_patch>").count(), 3);
    }
    assert!(second.starts_with(&format!(
        "{first}{}Happiness</s>TASK: ",
        template.answer_lead()
    )));
}

#[test]
fn trained_tokens_are_the_answers() {
    let template = PromptTemplate::default();
    let tokenizer = small(LlamaOptions::default());
    let turns = [
        Turn::new(Task::Explanation, "abc a"),
        Turn::new(Task::Expression, "ab"),
    ];
    let sequence = template.training(&tokenizer, 2, &turns).unwrap();
    let trained: Vec<u32> = sequence
        .labels
        .iter()
        .filter_map(|&label| u32::try_from(label).ok())
        .collect();
    assert_eq!(tokenizer.decode(&trained).unwrap(), "abc a ab");
    assert_eq!(trained.iter().filter(|&&id| id == 2).count(), 2);
    // The counts of the reference agree where `</s>` is one token.
    let lengths = PromptTemplate {
        label_mask: LabelMask::Lengths,
        ..template
    };
    assert_eq!(lengths.training(&tokenizer, 2, &turns).unwrap(), sequence);
}

#[test]
fn words_of_the_template_are_refused_in_answers() {
    let template = PromptTemplate::default();
    for answer in ["a</s>b", "<im_patch>", "a\nASSISTANT: b"] {
        let turns = [Turn::new(Task::Expression, answer)];
        assert!(
            template.prompt(1, &turns, Task::Explanation).is_err(),
            "{answer}"
        );
    }
}

#[test]
fn broken_templates_are_refused() {
    let whole = include_str!("prompt.toml");
    for (from, to, word) in [
        ("{patches}", "", "patches"),
        ("[tasks.expression]", "[tasks.mood]", "mood"),
        (
            "open_answer = \"ASSISTANT:\"",
            "open_answer = \"MODEL:\"",
            "open_answer",
        ),
        ("\"</s>\"]", "\"\"]", "separators"),
        ("label_mask = \"answers\"", "colour = 1", "colour"),
    ] {
        let error = PromptTemplate::from_toml(&whole.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// The reference's texts as a template.
fn reference_template(prompt: &Value) -> PromptTemplate {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let three = |key: &str| [0, 1, 2].map(|index| text(&prompt[key][index]));
    let names = [
        ("bbox", Task::FaceBox),
        ("attr", Task::Attributes),
        ("landmark", Task::Landmarks),
        ("age_gender_race", Task::Demographics),
        ("headpose", Task::HeadPose),
        ("description", Task::Explanation),
        ("emo", Task::Expression),
    ];
    let template = PromptTemplate {
        system: text(&prompt["system"]),
        after_system: text(&prompt["after_system"]),
        image: text(&prompt["image"]),
        image_token: text(&prompt["image_patch_token"]),
        roles: three("roles"),
        role_separator: text(&prompt["role_separator"]),
        separators: three("separators"),
        open_answer: text(&prompt["open_answer"]),
        label_mask: LabelMask::Lengths,
        tasks: names
            .map(|(name, task)| {
                let texts = &prompt["tasks"][name];
                let texts = TaskText {
                    description: text(&texts["description"]),
                    question: text(&texts["question"]),
                };
                (task, texts)
            })
            .into(),
    };
    template.validate().unwrap();
    template
}

/// The turns of a record. The sizes are those of the images that the cases were made from, by
/// the numbers in their answers.
fn turns(record: &Value) -> Vec<Turn> {
    let numbers = |value: &Value| -> Vec<f64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_f64().unwrap())
            .collect()
    };
    let answer = |task| -> Option<String> {
        Some(match task {
            Task::FaceBox => {
                let corners = numbers(record.get("bbox")?).try_into().unwrap();
                PaddedSquare::of(150, 64).face_box(corners)
            }
            Task::Landmarks => {
                let points = record.get("landmark")?.as_array().unwrap();
                let points: Vec<[f64; 2]> = points
                    .iter()
                    .map(|p| numbers(p).try_into().unwrap())
                    .collect();
                PaddedSquare::of(80, 120).landmarks(&points)
            }
            Task::HeadPose => decimals(&numbers(record.get("headpose")?)),
            Task::Demographics => {
                let values = numbers(record.get("age_gender_race")?);
                classes(&values.iter().map(|&n| n as i64).collect::<Vec<_>>())
            }
            Task::Explanation => record.get("description")?.as_str().unwrap().into(),
            Task::Expression => record.get("emo")?.as_str().unwrap().into(),
            Task::Attributes => return None,
        })
    };
    Task::TRAINING_ORDER
        .into_iter()
        .filter_map(|task| Some(Turn::new(task, answer(task)?)))
        .collect()
}

#[test]
fn reference_conversations_are_exact() {
    let Some(dir) = shared("fixtures/tokenizer") else {
        return;
    };
    let json = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(dir.join(name)).unwrap()).unwrap()
    };
    let template = reference_template(&json("reference_prompt.json"));
    // The tokenizer of the cases was made from the bare file and takes `</s>` for plain text.
    let options = LlamaOptions {
        control_in_text: false,
        ..LlamaOptions::default()
    };
    let file = std::fs::read(dir.join("tokenizer.model")).unwrap();
    let image = AddedToken::stripping("<im_patch>", 2000);
    let tokenizer = Tokenizer::from_sentencepiece(&file, options, vec![image]).unwrap();
    let cases = json("conversation_cases.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let sequence = template
            .training(&tokenizer, 256, &turns(&case["record"]))
            .unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["input_ids"].clone()).unwrap();
        let labels: Vec<i32> = serde_json::from_value(case["labels"].clone()).unwrap();
        assert_eq!(sequence.ids, ids, "{}", case["record"]["file_name"]);
        assert_eq!(sequence.labels, labels, "{}", case["record"]["file_name"]);
    }
}
