// Run by node where its packages are installed: a prompt through @helicone/ai-sdk-provider, whole and streamed, and what
// the prompt manager of @helicone/helpers makes of it. Prints one JSON object.
import { createHelicone } from "@helicone/ai-sdk-provider";
import { HeliconePromptManager } from "@helicone/helpers";
import { generateText, streamText } from "ai";

const given = JSON.parse(process.argv[2]);
const helicone = createHelicone({ baseURL: given.gateway, apiKey: given.key });
const model = helicone("gpt-4o-mini", {
  promptId: given.prompt,
  inputs: given.inputs,
  environment: "production",
  extraBody: { helicone: { userId: given.user } },
});
const messages = [{ role: "user", content: "placeholder" }];
const whole = await generateText({ model, messages, maxRetries: 0 });
const stream = streamText({ model, messages, maxRetries: 0 });
let streamed = "";
for await (const text of stream.textStream) streamed += text;

let refused;
try {
  const wrong = helicone("gpt-4o-mini", { promptId: given.prompt, inputs: { ...given.inputs, times: "many" } });
  await generateText({ model: wrong, messages, maxRetries: 0 });
} catch (error) {
  refused = String(error.message);
}

const manager = new HeliconePromptManager({ apiKey: given.key, baseUrl: given.gateway });
const asked = { prompt_id: given.prompt, inputs: given.inputs, model: "gpt-4o-mini" };
const made = await manager.getPromptBody(asked);
const body = await manager.pullPromptBodyByVersionId(given.version);
const partials = manager.extractPromptPartials(await manager.pullPromptBody({ prompt_id: given.outer }));
console.log(JSON.stringify({ whole: whole.text, streamed, refused, made, body, partials }));
