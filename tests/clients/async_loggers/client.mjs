// Run by node where Helicone's packages are installed: the manual logger of @helicone/helpers ("helpers"), or the traces
// and the proxy of @helicone/helicone ("helicone").
import { HeliconeManualLogger } from "@helicone/helpers";
import helicone from "@helicone/helicone";
import OpenAI from "openai";

const [what, argument] = process.argv.slice(2);
const given = JSON.parse(argument);
const provider = { baseURL: `${given.provider}/openai/v1`, apiKey: "sk-of-the-client", maxRetries: 0 };

async function helpers() {
  const client = new OpenAI(provider);
  const logger = new HeliconeManualLogger({
    apiKey: given.key,
    loggingEndpoint: `${given.gateway}/custom/v1/log`,
    headers: { "Helicone-User-Id": "node", "Helicone-Session-Id": "trip-2" },
  });
  const at = (path) => ({ "Helicone-Session-Path": path, "Helicone-Property-Tier": "gold" });
  await logger.logRequest(
    given.request,
    async (recorder) => recorder.appendResults(await client.chat.completions.create(given.request)),
    at("/unary"),
    "OPENAI",
  );
  const streamed = { ...given.request, stream: true, stream_options: { include_usage: true } };
  const stream = logger.logBuilder(streamed, at("/stream"));
  await stream.attachStream(await client.chat.completions.create(streamed));
  await stream.sendLog();
  const wrong = logger.logBuilder(given.request, at("/wrong"));
  wrong.setError(new Error("no answer"));
  await wrong.sendLog();
  await logger.logRequest(
    { _type: "tool", toolName: "weather", input: "Bern" },
    async (recorder) => recorder.appendResults({ status: "success" }),
    at("/tool"),
  );
}

async function proxyAndTraces() {
  const { HeliconeAsyncLogger, HeliconeProxyOpenAI } = helicone;
  let id;
  const proxy = new HeliconeProxyOpenAI({
    apiKey: "sk-of-the-client",
    maxRetries: 0,
    fetch: async (...call) => {
      const answer = await fetch(...call);
      id = answer.headers.get("helicone-id");
      return answer;
    },
    heliconeMeta: {
      apiKey: given.key,
      baseUrl: `${given.gateway}/v1`,
      user: "node-proxy",
      properties: { Tier: "gold" },
    },
  });
  await proxy.chat.completions.create(given.request);
  await proxy.helicone.logFeedback(id, "positive");
  const logger = new HeliconeAsyncLogger({
    apiKey: given.key,
    baseUrl: `${given.gateway}/v1/trace/log`,
    providers: { openAI: OpenAI },
    headers: { "Helicone-User-Id": "node-traced" },
  });
  logger.init();
  await new OpenAI(provider).chat.completions.create(given.request);
  // Spans are exported as they end, without anybody waiting for it.
  await new Promise((resolve) => setTimeout(resolve, 1000));
}

await (what === "helpers" ? helpers() : proxyAndTraces());
