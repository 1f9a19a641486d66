/** `at` of every node is its offset in the template. */
export interface TextNode {
  readonly kind: 'text';
  readonly at: number;
  readonly text: string;
}

export interface ActionNode {
  readonly kind: 'action';
  readonly at: number;
  readonly pipe: PipeNode;
}

export interface BranchNode {
  readonly kind: 'if' | 'with' | 'range';
  readonly at: number;
  readonly pipe: PipeNode;
  readonly body: readonly StatementNode[];
  readonly otherwise: readonly StatementNode[] | undefined;
}

export interface JumpNode {
  readonly kind: 'break' | 'continue';
  readonly at: number;
}

export interface TemplateNode {
  readonly kind: 'template';
  readonly at: number;
  readonly name: string;
  readonly pipe: PipeNode | undefined;
}

export type StatementNode = TextNode | ActionNode | BranchNode | JumpNode | TemplateNode;

export interface PipeNode {
  readonly kind: 'pipe';
  readonly at: number;
  readonly isAssignment: boolean;
  /** Names with their `$`. */
  readonly declared: readonly string[];
  readonly commands: readonly CommandNode[];
}

export interface CommandNode {
  readonly at: number;
  readonly operands: readonly [OperandNode, ...OperandNode[]];
}

export interface NumberNode {
  readonly kind: 'number';
  readonly at: number;
  readonly text: string;
  /** What it is where any type may stand; undefined where no int has room for it. */
  readonly value: bigint | number | undefined;
  /** What it is where an integer or a float must stand. */
  readonly int: bigint | undefined;
  readonly float: number;
}

export type OperandNode =
  | NumberNode
  | PipeNode
  | { readonly kind: 'identifier'; readonly at: number; readonly name: string }
  | { readonly kind: 'dot'; readonly at: number }
  | { readonly kind: 'nil'; readonly at: number }
  | { readonly kind: 'bool'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'string'; readonly at: number; readonly value: string }
  | { readonly kind: 'field'; readonly at: number; readonly names: readonly string[] }
  | { readonly kind: 'variable'; readonly at: number; readonly name: string; readonly names: readonly string[] }
  | { readonly kind: 'chain'; readonly at: number; readonly base: OperandNode; readonly names: readonly string[] };
