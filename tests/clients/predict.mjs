// Asks a flow with the published npm client: node predict.mjs URL KEY FLOW QUESTION stream|whole. Prints JSON.
import sdk from "flowise-sdk";

const [baseUrl, apiKey, chatflowId, question, mode] = process.argv.slice(2);
const client = new sdk.FlowiseClient({ baseUrl, apiKey });
const answer = await client.createPrediction({ chatflowId, question, streaming: mode === "stream" });

if (mode === "stream") {
  const events = [];
  for await (const event of answer) events.push(event);
  console.log(JSON.stringify(events));
} else {
  console.log(JSON.stringify(answer));
}
