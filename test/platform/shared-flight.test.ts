import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { SharedFlight } from '../../platform/shared-flight.ts';

/** Runs that end when told to. */
function runway() {
  const runs: { signal: AbortSignal; landing: PromiseWithResolvers<string> }[] = [];
  const start = (signal: AbortSignal) => {
    const landing = Promise.withResolvers<string>();
    signal.addEventListener('abort', () => landing.reject(signal.reason));
    runs.push({ signal, landing });
    return landing.promise;
  };
  return { runs, start, flight: new SharedFlight<string>() };
}

const forever = () => new AbortController().signal;

test('equal wants share a run, different ones do not, and later ones begin anew', async () => {
  const { runs, start, flight } = runway();
  const wants = ['a', 'a', 'b'].map((key) => flight.run(key, forever(), start));
  expect([runs.length, flight.size]).toEqual([2, 2]);
  runs[0]?.landing.resolve('one');
  runs[1]?.landing.resolve('two');
  expect(await Promise.all(wants)).toEqual(['one', 'one', 'two']);
  expect(flight.size).toBe(0);
  const later = flight.run('a', forever(), start);
  runs[2]?.landing.resolve('three');
  expect(await later).toBe('three');
});

test('a failure is everybody’s, and not kept', async () => {
  const { runs, start, flight } = runway();
  const wants = [1, 2].map(() => flight.run('a', forever(), start));
  runs[0]?.landing.reject(new Error('failed'));
  for (const want of wants) await expect(want).rejects.toThrow('failed');
  const later = flight.run('a', forever(), start);
  runs[1]?.landing.resolve('fine');
  expect(await later).toBe('fine');
});

test('who goes gets the reason of going, and costs the others nothing', async () => {
  const { runs, start, flight } = runway();
  const leaving = new AbortController();
  const [gone, stays] = [flight.run('a', leaving.signal, start), flight.run('a', forever(), start)];
  leaving.abort(new Error('gone'));
  await expect(gone).rejects.toThrow('gone');
  expect(runs[0]?.signal.aborted).toBe(false);
  runs[0]?.landing.resolve('fine');
  expect(await stays).toBe('fine');
});

test('when all have gone the run is aborted, and who comes next gets a new one', async () => {
  const { runs, start, flight } = runway();
  const leaving = new AbortController();
  const wants = [flight.run('a', leaving.signal, start), flight.run('a', leaving.signal, start)];
  leaving.abort(new Error('gone'));
  const settled = Promise.allSettled(wants);
  await settled;
  expect([runs[0]?.signal.aborted, flight.size]).toEqual([true, 0]);
  const later = flight.run('a', forever(), start);
  runs[1]?.landing.resolve('fine');
  expect(await later).toBe('fine');
});

test('who has gone already starts nothing', async () => {
  const { runs, start, flight } = runway();
  await expect(flight.run('a', AbortSignal.abort(new Error('gone')), start)).rejects.toThrow('gone');
  expect([runs.length, flight.size]).toEqual([0, 0]);
});

test('a run that cannot start leaves nothing behind', async () => {
  const flight = new SharedFlight<string>();
  const fail = () => {
    throw new Error('cannot start');
  };
  await expect(flight.run('a', forever(), fail)).rejects.toThrow('cannot start');
  expect(flight.size).toBe(0);
});

test('nothing keeps listening to a signal that lives on', async () => {
  const { runs, start, flight } = runway();
  const signal = forever();
  const wants = Array.from({ length: 20 }, () => flight.run('a', signal, start));
  runs[0]?.landing.resolve('fine');
  await Promise.all(wants);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
