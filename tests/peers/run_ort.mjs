// Runs a model in ONNX Runtime and writes every output.
//
//   node run_ort.mjs MODULES MODEL INPUT COUNT C H W OUT
//
// MODULES is a folder with node_modules; INPUT holds COUNT images of C x H x W floats. For image i,
// OUT.i.json lists name, type and number of elements of each output, OUT.i.bin holds their elements.

import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [modules, model, input, count, c, h, w, out] = process.argv.slice(2);
const ort = createRequire(join(resolve(modules), 'package.json'))('onnxruntime-node');
// int8 activations between QuantizeLinear and DequantizeLinear stay integers only where allowed.
const session = await ort.InferenceSession.create(model, {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
  extra: { session: { qdqisint8allowed: '1' } },
});
const dims = [1, Number(c), Number(h), Number(w)];
const size = dims.reduce((a, b) => a * b);
const bytes = readFileSync(input);
for (let i = 0; i < Number(count); ++i) {
  const pixels = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 4 * size * i,
                                                     bytes.byteOffset + 4 * size * (i + 1)));
  const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', pixels, dims) };
  const results = await session.run(feeds);
  const list = [];
  const parts = [];
  for (const name of session.outputNames) {
    const { data, type } = results[name];
    list.push({ name, type, count: data.length });
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  writeFileSync(`${out}.${i}.json`, JSON.stringify(list));
  writeFileSync(`${out}.${i}.bin`, Buffer.concat(parts));
}
