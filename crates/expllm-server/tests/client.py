"""The chain of a photo through the client of OpenAI: client.py ADDRESS PHOTO (needs the package openai)."""

import base64
import sys

import openai

address, photo = sys.argv[1:]
client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
with open(photo, "rb") as file:
    image = "data:image/png;base64," + base64.b64encode(file.read()).decode()
messages = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Explain the expression."},
            {"type": "image_url", "image_url": {"url": image}},
        ],
    }
]

assert [model.id for model in client.models.list()] == ["default"]
whole = client.chat.completions.create(model="default", messages=messages, seed=1)
stream = client.chat.completions.create(
    model="default", messages=messages, seed=1, stream=True, stream_options={"include_usage": True}
)
pieces, usage = [], None
for chunk in stream:
    pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    usage = chunk.usage or usage
assert len(pieces) > 20, pieces
assert "".join(pieces) == whole.choices[0].message.content
assert "**Conclusion:**" in whole.choices[0].message.content
assert usage.completion_tokens == len(pieces) == whole.usage.completion_tokens
try:
    client.chat.completions.create(model="default", messages=messages, logprobs=True)
except openai.BadRequestError as error:
    assert "logprobs" in str(error)
else:
    raise AssertionError("logprobs are not refused")
print(f"{len(pieces)} pieces of a chain, the same as at once")
