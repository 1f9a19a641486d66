/**
 * A driver in a process of its own, which kills itself when it comes to a step for the nth time:
 * `node driver-process.ts <kubelet root> <answer|mounted|swapped|unmounted|none> <n>`.
 */
import { pino } from 'pino';
import { startDriver } from '../../../csi/driver.ts';
import { linuxMounts } from '../../../csi/mounts.ts';
import { realTimers } from '../../../platform/kubernetes/timers.ts';
import { silentObserver } from './silent-observer.ts';
import { fakeSource } from './source.ts';

/** Where it can be told to die. */
export type Step = 'answer' | 'mounted' | 'swapped' | 'unmounted' | 'none';

const [, , kubeletRoot = '', deadly, nth] = process.argv;
let left = Number(nth);

/** SIGKILL, amid whatever else is under way. */
function come(step: Step): void {
  if (step !== deadly) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

const log = pino({ level: 'silent' });
const mounts = linuxMounts(log);
const source = fakeSource({ now: Date.now });
const { answer } = source;
source.answer = (question, signal) => {
  come('answer');
  return answer(question, signal);
};
await startDriver({
  kubeletRoot,
  nodeName: 'node-1',
  source,
  mounts: {
    ...mounts,
    mount: async (target, limits) => {
      await mounts.mount(target, limits);
      come('mounted');
    },
    unmount: async (target) => {
      await mounts.unmount(target);
      come('unmounted');
    },
  },
  refreshMs: 300_000,
  volumesBytes: 268_435_456,
  timers: realTimers,
  now: Date.now,
  random: Math.random,
  settle: async () => come('swapped'),
  observer: silentObserver,
  log,
});
process.stdout.write('listening\n');
