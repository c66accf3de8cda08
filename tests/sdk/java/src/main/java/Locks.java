import io.dapr.client.DaprClientBuilder;
import io.dapr.client.DaprPreviewClient;
import io.dapr.exceptions.DaprException;
import java.util.function.Supplier;

/** Makes one call of each kind and prints one line for each. */
public class Locks {
  private static final String STORE = "lockstore";

  public static void main(String[] args) throws Exception {
    try (DaprPreviewClient client = new DaprClientBuilder().buildPreviewClient()) {
      step("take", () -> client.tryLock(STORE, "order", "ann", 60).block());
      step("take, other owner", () -> client.tryLock(STORE, "order", "bob", 60).block());
      step("unlock, wrong owner", () -> client.unlock(STORE, "order", "bob").block());
      step("unlock", () -> client.unlock(STORE, "order", "ann").block());
      step("unlock again", () -> client.unlock(STORE, "order", "ann").block());

      step("take for a second", () -> client.tryLock(STORE, "order", "ann", 1).block());
      step("take once expired", () -> takeInTime(client, "order", "bob"));
      step("unlock", () -> client.unlock(STORE, "order", "bob").block());

      step("take, no resource", () -> client.tryLock(STORE, "", "ann", 60).block());
      step("take, no owner", () -> client.tryLock(STORE, "order", "", 60).block());
      step("take, expiry 0", () -> client.tryLock(STORE, "order", "ann", 0).block());
      step("take, no such store", () -> client.tryLock("nowhere", "order", "ann", 60).block());
      step("take, bad resource", () -> client.tryLock(STORE, "a||b", "ann", 60).block());
      step("unlock, no resource", () -> client.unlock(STORE, "", "ann").block());
      step("unlock, no owner", () -> client.unlock(STORE, "order", "").block());
      step("unlock, no such store", () -> client.unlock("nowhere", "order", "ann").block());
      step("unlock, bad resource", () -> client.unlock(STORE, "a||b", "ann").block());
    }
  }

  private static boolean takeInTime(DaprPreviewClient client, String resource, String owner) {
    long started = System.nanoTime();
    while (!client.tryLock(STORE, resource, owner, 60).block()) {
      if (System.nanoTime() - started > 60_000_000_000L) {
        return false;
      }
      try {
        Thread.sleep(50);
      } catch (InterruptedException interrupted) {
        throw new IllegalStateException(interrupted);
      }
    }
    return true;
  }

  private static void step(String name, Supplier<Object> call) {
    String result;
    try {
      result = String.valueOf(call.get());
    } catch (DaprException | IllegalArgumentException error) {
      result = error.getClass().getSimpleName() + ", " + error.getMessage();
    }
    System.out.println(name + ": " + result);
  }
}
