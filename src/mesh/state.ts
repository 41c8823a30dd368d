import { ShoalError } from '../config/errors.ts';

/** For each state the states that may follow it. */
export type TransitionTable<State extends string> = { readonly [From in State]: readonly State[] };

/** A state that changes only along its table. */
export class StateMachine<State extends string> {
  private current: State;
  private readonly name: string;
  private readonly table: TransitionTable<State>;
  private readonly onChange: (to: State, from: State) => void;

  constructor(
    name: string,
    initial: State,
    table: TransitionTable<State>,
    onChange: (to: State, from: State) => void = () => {},
  ) {
    this.name = name;
    this.current = initial;
    this.table = table;
    this.onChange = onChange;
  }

  get state(): State {
    return this.current;
  }

  /** @throws INTERNAL with both names where the table does not allow it */
  to(next: State): void {
    const from = this.current;
    if (!this.table[from].includes(next)) {
      throw new ShoalError('INTERNAL', `${this.name} cannot go from ${from} to ${next}`);
    }
    this.current = next;
    this.onChange(next, from);
  }
}
