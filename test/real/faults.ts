import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type FaultReport, runFaults } from './support/fault-run.ts';

/**
 * Pulls and pushes through the product while its registry goes wrong and the product is killed and replaced:
 * `npm run faults -- --operations 1000 --seed 1 [--log FILE]`. Ends with 1 where an image was not whole or an error not clear.
 */
const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    rate: { type: 'string', default: '0.15' },
    silences: { type: 'string', default: '4' },
    log: { type: 'string' },
  },
});

const { log } = values;
const report = await runFaults({
  operations: Number(values.operations),
  seed: values.seed,
  rate: Number(values.rate),
  silences: Number(values.silences),
  ...(log !== undefined && {
    onLog: (lines) => writeFileSync(log, lines.map((line) => `${JSON.stringify(line)}\n`).join('')),
  }),
  onProgress: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
process.exitCode = isRight(report) ? 0 : 1;

function isRight({ damaged, unclassified, alarms, usage }: FaultReport): boolean {
  // The garbage that V8 leaves for later differs by tens of MiB from one moment to the next; a leak of a few KiB for each
  // of thousands of requests is more.
  const isBounded = usage.idle.rssMiB - usage.warm.rssMiB <= 64 && usage.idle.descriptors <= usage.fresh.descriptors;
  return damaged.length + unclassified.length + alarms.length === 0 && isBounded;
}
