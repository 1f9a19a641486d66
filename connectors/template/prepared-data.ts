import { Refusal } from './template-error.ts';
import { depthMax, type GoMap, type Spend, type Value } from './values.ts';

/** Texts are not copied, so that a value is less work than a step. */
const stepsPerValue = 1 / 8;

/** A key of the data as it was before a template changed it. */
interface Change {
  readonly map: DataMap;
  readonly key: string;
  readonly before: Value;
  readonly isNew: boolean;
}

/** A map of the data, which several templates see one after the other. */
class DataMap extends Map<string, Value> {
  private readonly changes: Change[];

  constructor(changes: Change[]) {
    super();
    this.changes = changes;
  }

  /** While the data is converted, before any template sees it. */
  fill(key: string, value: Value): void {
    super.set(key, value);
  }

  override set(key: string, value: Value): this {
    this.note(key);
    return super.set(key, value);
  }

  override delete(key: string): boolean {
    this.note(key);
    return super.delete(key);
  }

  undo({ key, before, isNew }: Change): void {
    if (isNew) super.delete(key);
    else super.set(key, before);
  }

  private note(key: string): void {
    this.changes.push({ map: this, key, before: this.get(key), isNew: !this.has(key) });
  }
}

/** Data in the form that templates work with; what one rendering does to it with `set` or `unset`, the next does not see. */
export class PreparedData {
  private readonly value: Value;
  private readonly changes: Change[];

  private constructor(value: Value, changes: Change[]) {
    this.value = value;
    this.changes = changes;
  }

  /**
   * The data of a template as Go would see it after reading the same JSON: own enumerable properties of plain objects
   * and arrays. Whole numbers are ints. Functions, symbols and instances of classes are missing.
   */
  static of(data: unknown, spend: Spend): PreparedData {
    const conversion = new Conversion(spend);
    return new PreparedData(conversion.convert(data, 0), conversion.changes);
  }

  /** Hands out the value, and takes back all changes to it afterwards. */
  use<T>(work: (value: Value) => T): T {
    try {
      return work(this.value);
    } finally {
      for (const change of this.changes.toReversed()) change.map.undo(change);
      this.changes.length = 0;
    }
  }
}

class Conversion {
  readonly changes: Change[] = [];
  private readonly known = new Map<object, Value>();
  private readonly spend: Spend;

  constructor(spend: Spend) {
    this.spend = spend;
  }

  convert(data: unknown, depth: number): Value {
    this.spend(stepsPerValue);
    switch (typeof data) {
      case 'string':
      case 'boolean':
        return data;
      case 'number':
        return Number.isSafeInteger(data) && !Object.is(data, -0) ? BigInt(data) : data;
      case 'bigint':
        return BigInt.asIntN(64, data);
      case 'object':
        return data === null ? null : (this.known.get(data) ?? this.convertObject(data, depth));
      default:
        return undefined;
    }
  }

  private convertObject(data: object, depth: number): Value {
    if (depth > depthMax) throw new Refusal(`the data has more than ${depthMax} levels`);
    if (Array.isArray(data)) {
      const list: Value[] = [];
      this.known.set(data, list);
      for (const element of data) list.push(this.convert(element, depth + 1) ?? null);
      return list;
    }
    const prototype = Object.getPrototypeOf(data);
    if (prototype !== Object.prototype && prototype !== null) return undefined;
    const map: DataMap = new DataMap(this.changes);
    this.known.set(data, map satisfies GoMap);
    for (const [key, element] of Object.entries(data)) {
      const value = this.convert(element, depth + 1);
      if (value !== undefined) map.fill(key, value);
    }
    return map;
  }
}
