// Checks chat messages against the types their platforms' client libraries are compiled with. Reads a JSON array of
// {"platform": "discord" or "telegram", "body": the message} on stdin; writes a JSON array of complaints, empty when all fit.
// Each message becomes a literal in a module that is never written, so members nobody knows are complaints too.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const types = {
  discord: "import('discord-api-types/v10').RESTPostAPIWebhookWithTokenJSONBody",
  // The chat is named in the URL's query.
  telegram: "Omit<Parameters<import('@grammyjs/types').ApiMethods<never>['sendMessage']>[0], 'chat_id'>",
};
const messages = JSON.parse(readFileSync(0, 'utf8'));
const name = join(dirname(fileURLToPath(import.meta.url)), 'messages.ts');
const text = messages.map((m, i) => `export const m${i}: ${types[m.platform]} = ${JSON.stringify(m.body)};\n`).join('');
const options = {
  strict: true, noEmit: true, skipLibCheck: true, types: [],
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
};
const host = ts.createCompilerHost(options);
const { getSourceFile, fileExists, readFile } = host;
host.getSourceFile = (f, ...rest) => f === name ? ts.createSourceFile(f, text, options.target) : getSourceFile.call(host, f, ...rest);
host.fileExists = f => f === name || fileExists.call(host, f);
host.readFile = f => f === name ? text : readFile.call(host, f);
const complaints = ts.getPreEmitDiagnostics(ts.createProgram([name], options, host))
  .map(d => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
process.stdout.write(JSON.stringify(complaints));
