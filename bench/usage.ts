import { readdirSync, readFileSync } from 'node:fs';

/** The kernel's unit in /proc/<pid>/stat (USER_HZ), on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** What a process and its children have used so far. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  /** The most it ever was. */
  readonly rssMaxBytes: number;
}

/** Reads /proc. Children count because nginx works in one. */
export function usageOf(pid: number): Usage {
  const own = ownUsage(pid);
  return childrenOf(pid)
    .map(usageOf)
    .reduce(
      (sum, { cpuSeconds, rssBytes, rssMaxBytes }) => ({
        cpuSeconds: sum.cpuSeconds + cpuSeconds,
        rssBytes: sum.rssBytes + rssBytes,
        rssMaxBytes: sum.rssMaxBytes + rssMaxBytes,
      }),
      own,
    );
}

function ownUsage(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the command's name, which may hold spaces; counted from behind it, utime and stime are 11 and 12.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    rssBytes: kib('VmRSS') * 1024,
    rssMaxBytes: kib('VmHWM') * 1024,
  };
}

/** A child belongs to the thread that forked it, which need not be the first. */
function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}
