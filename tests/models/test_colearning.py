"""Interactive co-learning: what each head sees, lengths in time, face frames through a CNN."""

import pytest
import torch
from safetensors.torch import save_file

from avemo.base.contracts import AvemoError
from avemo.dataset.batch import Batch
from avemo.models import build_model
from model_batches import lacking, random_batch

SIZES = {"cnn": "none", "width": 8, "heads": 2, "ffn": 16, "audio_layers": 2}


def colearning(audio_dim=6, visual_dim=10, **config):
    torch.manual_seed(0)
    return build_model(
        "colearning", audio_dim=audio_dim, visual_dim=visual_dim, outputs=6, **SIZES | config
    ).eval()


def test_both_modalities_are_joined_in_time():
    """16 audio frames at 100 a second are 4 at 25; 9 face frames stay 9."""
    batch = random_batch(audio=16, visual=9)
    z_BTD, mask_BT = colearning().represent(batch)
    assert z_BTD.shape == (5, 4 + 9, 8)
    audio = (batch.audio_mask_BT.sum(1) + 3) // 4
    assert torch.equal(mask_BT.sum(1), audio + batch.visual_mask_BT.sum(1))


def test_each_head_depends_on_its_own_input():
    model, batch = colearning(), random_batch()
    other = random_batch(seed=1)
    for head, field in (("audio", "visual_BTD"), ("visual", "audio_BTD")):
        before = model.forward_only(head, batch).prediction
        joint = model.forward_only("av", batch).prediction
        changed = Batch(**{**vars(batch), field: getattr(other, field)})
        assert torch.equal(model.forward_only(head, changed).prediction, before)
        assert (model.forward_only("av", changed).prediction - joint).abs().max() > 1e-3


def test_clips_that_lack_a_modality_in_one_batch():
    """Each is answered as it would be among its like."""
    model, batch = colearning(), lacking(random_batch(), audio=[1], visual=[2])
    mixed = model(batch).prediction
    for row, head in enumerate(("av", "visual", "audio", "av", "av")):
        expected = model.forward_only(head, batch).prediction[row]
        assert torch.allclose(mixed[row], expected, atol=1e-5)


def test_a_clip_with_nothing_is_answered_too():
    """As one whose sound and faces are zero."""
    model, batch = colearning(), lacking(random_batch(), audio=[1], visual=[1])
    whole = Batch(**{k: v for k, v in vars(batch).items() if not k.startswith("has_")})
    assert torch.allclose(model(batch).prediction[1], model(whole).prediction[1], atol=1e-5)


def test_segment_vectors_differ():
    model = colearning()
    assert (model.audio.segment_D - model.visual.segment_D).abs().min() > 0


def test_segment_vector_tells_the_modalities_apart():
    """With equal vectors the cross-modal encoder would be given the same sum twice."""
    model, batch = colearning(), random_batch()
    before = model(batch).prediction
    model.audio.segment_D.data += torch.arange(8.0)
    assert (model(batch).prediction - before).abs().max() > 1e-3


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_baselines_have_one_encoder_and_no_cross_modal_one(modality):
    model, batch = colearning(modalities=modality), random_batch()
    assert model.cross is None
    assert list(model.parts()) == [modality]
    assert list(model(batch).logits) == [modality]
    gone = {"audio": "visual", "visual": "audio"}[modality]
    assert torch.equal(model(batch).prediction, model(batch.without(gone)).prediction)


def test_heads_of_interactive_training():
    assert list(colearning().parts()) == ["audio", "visual", "av"]


def frames_batch(side, clips=2, frames=3):
    draw = torch.Generator().manual_seed(0)
    faces = torch.randint(0, 256, (clips, frames, side * side * 3), generator=draw, dtype=torch.uint8)
    audio = torch.randn(clips, 8, 6, generator=draw)
    masks = [torch.ones(x.shape[:2], dtype=torch.bool) for x in (audio, faces)]
    return Batch(audio, faces, *masks, torch.zeros(clips, dtype=torch.long), ["clip0", "clip1"])


def test_face_frames_train_end_to_end():
    """Each weight of the CNN and the encoders moves; so do the CNN's running statistics."""
    side = 32
    model = colearning(visual_dim=side * side * 3, cnn="mobilenet_v3_small").train()
    statistics = model.visual.cnn.features[0][1].running_mean.clone()
    model(frames_batch(side)).logits["av"].square().sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []
    assert not torch.equal(model.visual.cnn.features[0][1].running_mean, statistics)


def test_pixels_are_read_as_rows_columns_colours():
    """The CNN must get the image that torchvision's own normalisation makes of the frame."""
    from torchvision.transforms import functional

    model = colearning(visual_dim=32 * 32 * 3, cnn="mobilenet_v3_small")
    frame = frames_batch(32).visual_BTD[0, 0]
    image = functional.normalize(
        functional.to_tensor(frame.view(32, 32, 3).numpy()), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    expected = model.visual.cnn.features(image[None]).mean((2, 3))
    assert torch.allclose(model.visual.cnn(frame[None]), expected, atol=1e-5)


def test_evaluation_in_parts_equals_evaluation_at_once(monkeypatch):
    model, batch = colearning(visual_dim=32 * 32 * 3, cnn="mobilenet_v3_small"), frames_batch(32)
    whole = model(batch).prediction
    monkeypatch.setattr("avemo.models.face_cnn.FRAMES_AT_ONCE", 4)
    assert torch.allclose(model(batch).prediction, whole, atol=1e-6)


def test_feature_vectors_are_no_face_frames():
    with pytest.raises(AvemoError, match="expected face frames of side x side x 3 values, found 1408"):
        colearning(visual_dim=1408, cnn="mobilenet_v3_large")


def test_parts_start_from_weight_files(tmp_path):
    donor = colearning()
    for p in donor.parameters():
        p.data.add_(0.5)
    path = tmp_path / "asr.safetensors"
    save_file(donor.audio.state_dict(), path)
    model = colearning(initial_weights={"audio": str(path)})
    assert not torch.equal(model.audio.convolutions[0].weight, donor.audio.convolutions[0].weight)
    model.initialise()
    assert all(torch.equal(x, donor.audio.state_dict()[name]) for name, x in model.audio.state_dict().items())
    assert not torch.equal(model.cross.norm.weight, donor.cross.norm.weight)


def test_weights_of_something_else_are_refused(tmp_path):
    path = tmp_path / "asr.safetensors"
    save_file(colearning().cross.state_dict(), path)
    with pytest.raises(AvemoError, match="expected the weights of the part 'audio'"):
        colearning(initial_weights={"audio": str(path)}).initialise()
    with pytest.raises(AvemoError, match="expected a model with that part, found none"):
        colearning(initial_weights={"cnn": str(path)}).initialise()
