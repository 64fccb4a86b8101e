// Runs the emulator on a free port of this machine, says which on one line,
// and ends when its standard input does: with the program that started it.
import { createRequire } from "node:module";

const { default: start } = createRequire(import.meta.url)("aws-ses-v2-local");
const server = await start({ host: "127.0.0.1", port: 0 });
console.log(`http://127.0.0.1:${server.address().port}`);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
