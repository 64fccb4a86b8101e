// Runs the emulator on a free port of this machine, says which on one line,
// and ends when its standard input does: with the test that started it.
import { AsyncLocalStorage } from "node:async_hooks";
import { register } from "node:module";

// The emulator can keep its state in SQLite, which older versions of node lack.
// Nothing is kept here, so that a class that cannot be made is enough.
const noSQLite = "data:text/javascript," + encodeURIComponent(
  `export class DatabaseSync { constructor() { throw new Error("this emulator keeps nothing"); } }`);
register("data:text/javascript," + encodeURIComponent(
  `export async function resolve(specifier, context, next) {
     return specifier === "node:sqlite" ? { url: "${noSQLite}", shortCircuit: true } : next(specifier, context);
   }`));

const emulator = import.meta.resolve("fauxqs");
const { buildApp } = await import(emulator);
const { INVALID_MESSAGE_BODY_CHAR } = await import(new URL("sqs/sqsTypes.js", emulator));
const { SqsQueue } = await import(new URL("sqs/sqsStore.js", emulator));

// SQS takes every character of XML 1.0. The emulator looks at halves of
// characters and so refuses those beyond U+FFFF.
INVALID_MESSAGE_BODY_CHAR.compile("[^\\x09\\x0A\\x0D\\x20-\\uD7FF\\uE000-\\uFFFD\\u{10000}-\\u{10FFFF}]", "u");

// A receive that waits ends when its client hangs up. Without that it would take
// the next message for nobody, out of sight until its visibility has passed, and
// every test of an outage would wait for that.
const requests = new AsyncLocalStorage();
const wait = SqsQueue.prototype.waitForMessages;
SqsQueue.prototype.waitForMessages = function (seconds) {
  const { socket } = requests.getStore().raw;
  return new Promise((resolve, reject) => {
    const hungUp = () => reject(new Error("the client hung up"));
    if (socket.destroyed) {
      return hungUp();
    }
    socket.once("close", hungUp);
    wait.call(this, seconds).then(() => {
      socket.off("close", hungUp);
      resolve();
    });
  });
};

const app = buildApp({ logger: false });
app.addHook("onRequest", (request, reply, done) => requests.run(request, done));
console.log(await app.listen({ host: "127.0.0.1", port: 0 }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
