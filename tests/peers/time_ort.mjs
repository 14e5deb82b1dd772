// Times models in ONNX Runtime on one thread, in turns, and prints the median of each as JSON.
//
//   node time_ort.mjs MODULES RUNS MODEL...
//
// MODULES is a folder with node_modules. A run is one image; its time is that of the process on the
// CPU, in ms, so that other processes count little. The first run of each model does not count.

import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const [modules, runs, ...models] = process.argv.slice(2);
const ort = createRequire(join(resolve(modules), 'package.json'))('onnxruntime-node');
const sessions = [];
for (const model of models) {
  sessions.push(await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  }));
}
const feeds = sessions.map((session) => {
  const dims = session.inputMetadata[0].shape;
  const size = dims.reduce((a, b) => a * b);
  // Values of -1 to 1 that look like none of a pattern.
  const pixels = Float32Array.from({ length: size }, (_, i) => 2 * ((i * 0.618034) % 1) - 1);
  return { [session.inputNames[0]]: new ort.Tensor('float32', pixels, dims) };
});
const times = models.map(() => []);
for (let run = 0; run <= Number(runs); ++run) {
  for (let m = 0; m < models.length; ++m) {
    const before = process.cpuUsage();
    await sessions[m].run(feeds[m]);
    const used = process.cpuUsage(before);
    if (run > 0) times[m].push((used.user + used.system) / 1000);
  }
}
const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];
console.log(JSON.stringify(times.map(median)));
