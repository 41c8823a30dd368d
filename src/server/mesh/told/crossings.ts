import { crossedLayers } from '../../../schedule/classes.ts';
import { classedOf, type MeshRoute } from '../routes/mesh-route.ts';

/** How often one answer went on in another class of adapters than that which gave its words before. */
export class Crossings {
  readonly #isResumed: boolean;
  /** Whose tokens were told last. */
  #gave: MeshRoute | null = null;
  #count = 0;

  /** @param isResumed tokens of it were told before the server was started again: of nobody knows what, unless its stages have it still */
  constructor(isResumed: boolean) {
    this.#isResumed = isResumed;
  }

  get count(): number {
    return this.#count;
  }

  /** Its stages have it still, and go on. */
  adopted(route: MeshRoute): void {
    this.#gave = route;
  }

  /**
   * The next tokens are of this route.
   * @returns the layers that go on in another class, 0 where nobody knows which; null: nothing was crossed
   */
  gives(route: MeshRoute): number | null {
    const gave = this.#gave;
    this.#gave = route;
    const layers = gave === null ? 0 : crossedLayers(classedOf(gave), classedOf(route));
    if (layers === 0 && !(gave === null && this.#isResumed)) return null;
    this.#count++;
    return layers;
  }
}
