// Runs the emulator on a free port of this machine, says which on one line,
// and ends when its standard input does: with the test that started it.
import { register } from "node:module";

// The emulator can keep its state in SQLite, which older versions of node lack.
// Nothing is kept here, so that a class that cannot be made is enough.
const noSQLite = "data:text/javascript," + encodeURIComponent(
  `export class DatabaseSync { constructor() { throw new Error("this emulator keeps nothing"); } }`);
register("data:text/javascript," + encodeURIComponent(
  `export async function resolve(specifier, context, next) {
     return specifier === "node:sqlite" ? { url: "${noSQLite}", shortCircuit: true } : next(specifier, context);
   }`));

// SQS takes every character of XML 1.0. The emulator looks at halves of
// characters and so refuses those beyond U+FFFF.
const types = await import(new URL("sqs/sqsTypes.js", import.meta.resolve("fauxqs")));
types.INVALID_MESSAGE_BODY_CHAR.compile("[^\\x09\\x0A\\x0D\\x20-\\uD7FF\\uE000-\\uFFFD\\u{10000}-\\u{10FFFF}]", "u");

const { buildApp } = await import("fauxqs");
const address = await buildApp({ logger: false }).listen({ host: "127.0.0.1", port: 0 });
console.log(address);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
